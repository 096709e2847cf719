"""The audit trail: what it tells, where, and what never stands in it."""

import json
import os
import signal
import stat
from pathlib import Path

import duckdb
import pytest
from cryptography.fernet import Fernet

from otel_duckdb import contract
from otel_duckdb.monitor.audit import EVENTS, Audit, AuditFile, decrypt
from otel_duckdb.monitor.sample import Sample, Series
from otel_duckdb.settings import SettingError


@pytest.fixture
def logger(telemetry):
    return telemetry.logger_provider.get_logger(contract.SCOPE)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_event_is_a_record_and_a_line(telemetry, logger, tmp_path):
    path = tmp_path / "audit.jsonl"
    audit = Audit(logger, AuditFile(path))
    audit.start()
    audit.tell("refused_access", "warning", path="/api/cleanup", by="127.0.0.1\n\x1b[31m", none=None)
    audit.stop()
    assert [line["event"] for line in lines(path)] == ["monitoring_started", "refused_access", "monitoring_stopped"]
    assert lines(path)[1]["by"] == r"127.0.0.1 \x1b[31m"
    assert "none" not in lines(path)[1]
    record = telemetry.records()[1]
    assert record.attributes["duckdb.audit.path"] == "/api/cleanup"
    assert (
        getattr(record, "event_name", None) or record.attributes[contract.EVENT_NAME] == "duckdb.audit.refused_access"
    )
    assert {line["event"] for line in lines(path)} <= EVENTS.keys()


def test_the_file_is_of_this_user_alone(logger, tmp_path):
    path = tmp_path / "audit.jsonl"
    path.write_text("")
    path.chmod(0o644)
    Audit(logger, AuditFile(path)).tell("action")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_file_is_rotated_and_the_oldest_is_dropped(tmp_path):
    path = tmp_path / "audit.jsonl"
    file = AuditFile(path, size=1000, files=3)
    for number in range(100):
        file.write({"event": "action", "number": number, "text": "x" * 50})
    assert sorted(one.name for one in tmp_path.iterdir()) == ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]
    assert all(one.stat().st_size <= 1000 for one in tmp_path.iterdir())
    kept = [line["number"] for name in (".2", ".1", "") for line in lines(tmp_path / f"audit.jsonl{name}")]
    assert kept == list(range(kept[0], 100))


def test_an_encrypted_file_is_read_with_its_key_alone(tmp_path):
    path, key = tmp_path / "audit.jsonl", Fernet.generate_key().decode()
    file = AuditFile(path, key=key)
    file.write({"event": "action", "by": "somebody"})
    text = path.read_text()
    assert "somebody" not in text
    assert decrypt(text, key) == {"event": "action", "by": "somebody"}
    with pytest.raises(SettingError, match="not written with this key"):
        decrypt(text, Fernet.generate_key().decode())
    with pytest.raises(SettingError, match="32 bytes"):
        AuditFile(path, key="short")


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_file_that_cannot_be_one_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "audit.jsonl"
    if kind == "folder":
        path.mkdir()
    else:
        (tmp_path / "elsewhere").write_text("")
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingError, match="cannot be written"):
        AuditFile(path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_loses_the_line_and_not_the_record(telemetry, logger, tmp_path):
    file = AuditFile(tmp_path / "audit.jsonl")
    file._path = Path("/dev/full")
    file._open = lambda: os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(OSError, match="No space left"):
        Audit(logger, file).tell("action")
    assert len(telemetry.records()) == 1


def test_a_change_by_a_fifth_within_five_minutes_is_told_once(telemetry, logger):
    audit = Audit(logger)
    for second in range(60):
        audit.changed(second, "memory_percent", 0.5)
    for second in range(60, 120):
        audit.changed(second, "memory_percent", 0.71)
    for second in range(120, 2000, 10):
        audit.changed(second, "memory_percent", 0.71 - (second - 120) / 10000)  # a fifth, but in half an hour
    told = [record.attributes for record in telemetry.records()]
    assert [(one["duckdb.audit.change_type"], one["duckdb.audit.memory_percent"]) for one in told] == [("rise", 71.0)]
    assert told[0]["duckdb.audit.memory_percent_before"] == 50.0


def test_a_change_of_the_processors_use_is_told_with_the_memory_beside_it(telemetry, logger, monkeypatch):
    audit, shares = Audit(logger), iter([0.1, 0.1, 0.5, 0.5])
    monkeypatch.setattr(audit._cpu, "look", lambda: next(shares))
    memory = {
        Series(contract.MEMORY_USED.name, (("database", "x"),)): 30.0,
        Series(contract.MEMORY_LIMIT.name, (("database", "x"),)): 100.0,
    }
    for second in range(200):
        audit.sampled(Sample(1e9 + second, float(second), memory))
    (told,) = telemetry.records()
    told = {name.removeprefix("duckdb.audit."): value for name, value in told.attributes.items()}
    assert (told["change_type"], told["cpu_percent"], told["cpu_percent_before"]) == ("rise", 50.0, 10.0)
    assert told["memory_percent"] == 30.0


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="the system limits no file")
def test_a_line_that_was_torn_by_a_full_disk_tears_no_other(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "audit.jsonl"
    file = AuditFile(path)
    file.write({"event": "action", "number": 1})
    before, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 5, limits[1]))
    try:
        with pytest.raises(OSError, match="No space left"):
            file.write({"event": "action", "number": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    file.write({"event": "action", "number": 3})
    first, torn, last = path.read_text().splitlines()
    assert (json.loads(first)["number"], torn, json.loads(last)["number"]) == (1, '{"eve', 3)


def test_a_database_and_a_pipe_are_no_files_for_an_audit_trail_and_stay_as_they_are(tmp_path):
    duckdb.connect(tmp_path / "shop.duckdb").close()
    before = (tmp_path / "shop.duckdb").read_bytes()
    with pytest.raises(SettingError, match=r"shop\.duckdb is a database of DuckDB; name another file"):
        AuditFile(tmp_path / "shop.duckdb")
    assert (tmp_path / "shop.duckdb").read_bytes() == before
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(SettingError, match="pipe cannot be written: "):
            AuditFile(tmp_path / "pipe")
