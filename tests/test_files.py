"""Files that others may have made: nothing waits for ever, nothing is read without a bound, no device is harmed."""

import os
import re
import stat
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from click import ClickException

from otel_duckdb import SettingError, Settings, files
from otel_duckdb.commands.benchmark import _read
from otel_duckdb.features import SwitchError, read_file, read_switches
from otel_duckdb.files import check_ordinary, open_for_appending, read_bytes, read_text, write_privately
from otel_duckdb.monitor.audit import AuditFile
from otel_duckdb.monitor.history import History
from otel_duckdb.monitor.history.file import HistoryFile
from otel_duckdb.sync.config import load
from otel_duckdb.web.tls import Certificates

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes and devices in folders")
READERS = {
    "features": read_file,
    "sync": load,
    "benchmark": lambda path: _read(path, 1),
    "certificate": lambda path: Certificates(str(path)),
    "audit": AuditFile,
    "history": lambda path: HistoryFile(History(), str(path)).start(),
}
ALIASES = "".join(f"{name}: &{name} [{', '.join([f'*{of}'] * 9)}]\n" for of, name in pairwise("abcdefgh"))
BOMB = f"a: &a [1, 1]\n{ALIASES}"


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(files, "_SECONDS", 0.02)


@pytest.fixture(params=["pipe", "device", "socket"])
def odd(request, tmp_path):
    """What is no file, and would be waited for, or read without an end."""
    if request.param == "device":
        return Path("/dev/zero")
    path = tmp_path / "odd"
    if request.param == "pipe":
        os.mkfifo(path)
    else:
        os.mknod(path, stat.S_IFSOCK | 0o600)
    return path


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_what_is_no_file_is_refused_at_once_and_its_mode_stays(reader, odd, caplog):
    before = odd.stat().st_mode
    told = ""
    try:
        reader(odd)
    except (OSError, ValueError, ClickException) as error:
        told = str(error)
    assert re.search("no ordinary file|No such device|did not end", told + caplog.text)
    assert odd.stat().st_mode == before


@pytest.mark.parametrize(
    ("text", "reader"),
    [
        ("a = " + "[" * 5000, "sync"),
        (f"interval = {'9' * 5000}", "sync"),
        ("[" * 50_000, "benchmark"),
        ("features: " + "[" * 300, "features"),
        ('{"features":' * 20_000, "features"),
        (f'{{"features": {{"analytics": {"9" * 5000}}}}}', "features"),
        ("features: {analytics: 2001-99-99}", "features"),
        ("features: {analytics: {enabled: true, dependencies: [[a]]}, monitoring: {x: 1}, a: 1", "features"),
        (f"{BOMB}features: {{analytics: *h}}", "features"),
        (f"{BOMB}features: {{analytics: {{enabled: *h}}}}", "features"),
    ],
)
def test_a_file_that_is_nested_or_counts_without_an_end_is_one_error_of_ours(tmp_path, text, reader):
    path = tmp_path / "odd"
    path.write_text(text)
    with pytest.raises(Exception, match=r"odd|analytics is") as caught:
        READERS[reader](path)
    assert type(caught.value).__name__ in {"SyncConfigError", "UsageError", "SwitchError"}
    assert len(str(caught.value)) < 1000


def test_a_value_of_any_size_is_shown_in_short():
    bomb: list[object] = [1, 1]
    for _ in range(40):
        bomb = [bomb] * 9
    with pytest.raises(SettingError) as caught:
        Settings.load({"query_metrics": bomb, "metric_tables": bomb}, {})
    assert len(str(caught.value)) < 2000
    with pytest.raises(SwitchError, match="allowed is a mapping"):
        read_switches(bomb)


def test_a_dependency_that_is_no_name_is_passed_over(tmp_path):
    path = tmp_path / "features.yaml"
    path.write_text("features: {analytics: {enabled: true, dependencies: [[a], {b: c}]}}")
    assert read_file(str(path)) == {"analytics": True}


def test_a_pipe_that_is_written_is_read_as_a_shell_makes_one(monkeypatch):
    monkeypatch.setattr(files, "_SECONDS", 10.0)
    reading, writing = os.pipe()
    writer = threading.Thread(target=lambda: (os.write(writing, b"interval = 5"), os.close(writing)))
    writer.start()
    assert read_text(f"/dev/fd/{reading}") == "interval = 5"
    writer.join()
    os.close(reading)


def test_more_than_the_limit_is_refused(tmp_path):
    (tmp_path / "large").write_bytes(b"x" * 101)
    assert len(read_bytes(tmp_path / "large", limit=101)) == 101
    with pytest.raises(OSError, match="more than 100 bytes"):
        read_bytes(tmp_path / "large", limit=100)


def test_a_report_into_a_pipe_or_a_device_leaves_it_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_privately(tmp_path / "pipe", "told\n")
    assert os.read(reader, 100) == b"told\n"
    os.close(reader)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    output = tmp_path / "output"
    program = (
        f"import sys; sys.path.insert(0, {str(Path(files.__file__).parent)!r}); import files;"
        "files.write_privately(files.Path('/dev/stdout'), 'told')"
    )
    with output.open("w") as file:
        subprocess.run([sys.executable, "-I", "-S", "-c", program], stdout=file, check=True)
    assert output.read_text() == "told"


def test_who_made_the_unfinished_file_before_us_reads_nothing_and_holds_nobody_up(tmp_path):
    theirs = tmp_path / f".report.{os.getpid()}.unfinished"
    theirs.touch(mode=0o666)
    descriptor = os.open(theirs, os.O_RDONLY)
    write_privately(tmp_path / "report", "secret")
    assert os.read(descriptor, 100) == b""
    os.close(descriptor)
    assert stat.S_IMODE((tmp_path / "report").stat().st_mode) == 0o600
    os.mkfifo(theirs)
    write_privately(tmp_path / "report", "secret")
    assert (tmp_path / "report").read_text() == "secret"


def test_what_is_appended_to_is_a_file_of_this_user_alone(tmp_path):
    (tmp_path / "file").touch(mode=0o644)
    os.close(open_for_appending(tmp_path / "file"))
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    check_ordinary(tmp_path / "file")
    check_ordinary(tmp_path / "missing")
