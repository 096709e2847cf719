"""A sync that is killed at any moment, again and again, brings each row once. The long form is `make soak`."""

import pytest

from sync_killing import Trial

WAYS = {
    "over http with faults": {"http": True, "delete": False, "faults": True},
    "over http, deleting": {"http": True, "delete": True, "faults": False},
    "chDB in process, deleting": {"http": False, "delete": True, "faults": False},
}


@pytest.mark.parametrize(
    ("way", "kills"),
    [("over http with faults", 2), *(pytest.param(way, 9, marks=pytest.mark.slow) for way in WAYS)],
)
@pytest.mark.timeout(600)
def test_each_row_arrives_once_after_kills(tmp_path, way, kills):
    trial = Trial(tmp_path, **WAYS[way], seed=kills)
    outcome = trial.run(kills, longest=0.4)
    assert outcome.exactly_once, outcome
    assert outcome.kills == kills
