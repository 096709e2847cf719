"""A sync that is killed at any moment, again and again, brings each row once. The long form is `make soak`."""

import duckdb
import pytest

from sync_killing import Trial

KILLS = 7 if duckdb.__version__.startswith("2.") else 2


@pytest.mark.parametrize(
    ("http", "delete", "faults"),
    [(True, False, True), (True, True, False), (False, True, False)],
    ids=["over http with faults", "over http, deleting", "chDB in process, deleting"],
)
@pytest.mark.timeout(240)
def test_each_row_arrives_once_after_kills(tmp_path, http, delete, faults):
    trial = Trial(tmp_path, http=http, delete=delete, faults=faults, seed=KILLS)
    outcome = trial.run(KILLS, longest=0.4)
    assert outcome.exactly_once, outcome
    assert outcome.kills == KILLS
