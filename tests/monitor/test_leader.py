"""The election: one leads, the next takes over, and one that hangs is told of."""

import json
import logging
import os
import select
import signal
import subprocess
import sys
import time

import pytest

from otel_duckdb.monitor.leader import Leader
from otel_duckdb.monitor.sample import Sample
from otel_duckdb.settings import SettingError

PROCESS = """
import sys, time
from pathlib import Path
from otel_duckdb.monitor.leader import Leader
from otel_duckdb.monitor.sample import Sample
leader = Leader(Path(sys.argv[1]), "group", hung_seconds=float(sys.argv[2]))
leader.start()
told = None
while True:
    leader.sampled(Sample(time.time(), time.monotonic(), {}))
    if leader.leads != told:
        told = leader.leads
        print(f"{'leads' if told else 'waits'} {time.time()}", flush=True)
    time.sleep(0.02)
"""


class Process:
    """A process that takes part in an election."""

    def __init__(self, folder, hung=15.0):
        arguments = [sys.executable, "-c", PROCESS, str(folder), str(hung)]
        self.running = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL)

    def line(self):
        word, when = self.running.stdout.readline().split()
        return word, float(when)

    def end(self):
        self.running.kill()
        self.running.send_signal(signal.SIGCONT)
        self.running.wait()
        self.running.stdout.close()


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "state"
    made.mkdir(mode=0o700)
    return made


def takeovers(folder, number):
    """How long each takeover after a SIGKILL took, in seconds; there are two stand-bys at each."""
    processes = [Process(folder) for _ in range(3)]
    taken = []
    try:
        first = {process: process.line() for process in processes}
        for _ in range(number):
            leaders = [process for process, (word, _) in first.items() if word == "leads"]
            assert len(leaders) == 1
            killed = time.time()
            leaders[0].end()
            del first[leaders[0]]
            processes.remove(leaders[0])
            ready, _, _ = select.select([one.running.stdout for one in processes], [], [], 10)
            assert ready
            (heir,) = [one for one in processes if one.running.stdout is ready[0]]
            first[heir] = heir.line()
            taken.append(first[heir][1] - killed)
            added = Process(folder)
            processes.append(added)
            first[added] = added.line()
    finally:
        for process in processes:
            process.end()
    return taken


def test_a_stand_by_takes_over_within_two_seconds(folder):
    assert max(takeovers(folder, 2)) < 2


@pytest.mark.slow
def test_fifty_leaders_that_are_killed_have_an_heir_within_two_seconds(folder, capsys):
    taken = sorted(takeovers(folder, 50))
    with capsys.disabled():
        sys.stdout.write(f"\ntakeovers: median {taken[25]:.2f} s, worst {taken[-1]:.2f} s of {len(taken)}\n")
    assert taken[-1] < 2


def test_a_leader_that_hangs_keeps_the_lead_and_is_told_of_once(folder, caplog):
    process = Process(folder)
    assert process.line()[0] == "leads"
    told = []
    leader = Leader(folder, "group", emit=lambda event, payload: told.append((event, payload)), hung_seconds=0.5)
    leader._poll = 0.05
    leader.start()
    try:
        time.sleep(0.8)
        assert not told
        process.running.send_signal(signal.SIGSTOP)
        with caplog.at_level(logging.WARNING, "otel_duckdb"):
            time.sleep(1.5)
        assert not leader.leads
        assert told == [
            ("issue", {"type": "leader_hung", "level": "critical", "message": f"process {process.running.pid} hangs"})
        ]
        assert len(caplog.messages) == 1
        assert leader.as_json() == {"leads": False, "leader": process.running.pid}
    finally:
        process.end()
    deadline = time.monotonic() + 5
    while not leader.leads and time.monotonic() < deadline:
        time.sleep(0.02)
    assert leader.leads
    leader.stop()


def test_one_that_stops_gives_the_lead_away_and_its_file_stays(folder):
    first, second = Leader(folder, "group", poll_seconds=0.05), Leader(folder, "group", poll_seconds=0.05)
    other = Leader(folder, "another", poll_seconds=0.05)
    for one in (first, second, other):
        one.start()
    assert (first.leads, second.leads, other.leads) == (True, False, True)
    first.sampled(Sample(0, 0, {}))
    first.stop()
    time.sleep(0.3)
    assert second.leads
    assert len(list(folder.glob("*.lock"))) == 2
    for one in (second, other):
        one.stop()
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0


def test_a_forked_child_decides_anew_and_leaves_the_lock_to_its_parent(folder):
    leader = Leader(folder, "group", poll_seconds=0.05)
    leader.start()
    child = os.fork()
    if child == 0:
        try:
            leader.start()
            told = leader.leads
            leader.stop()
        except BaseException:
            os._exit(2)
        os._exit(int(told))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    rival = Leader(folder, "group")
    rival.start()
    assert (leader.leads, rival.leads) == (True, False)
    rival.stop()
    leader.stop()


def test_a_sign_of_life_that_is_not_one_is_passed_over(folder):
    leader, rival = Leader(folder, "group"), Leader(folder, "group")
    leader.start()
    (sign,) = folder.glob("*.json")
    for text in ("", "[1]", '{"pid": "\\u001b[31m"}', "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")):
        sign.write_text(text, encoding="utf-8")
        rival._look()
    assert json.loads(json.dumps(rival.as_json()))["leads"] is False
    leader.stop()


def test_a_folder_that_others_can_write_is_refused(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(SettingError, match="nobody else may write it"):
        Leader(tmp_path, "group")
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match=r"cannot be used|must belong"):
        Leader(tmp_path / "file" / "below", "group")
