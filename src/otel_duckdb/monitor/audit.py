"""The audit trail: what the monitor saw and did, as OpenTelemetry logs, and as JSON lines where a file is named."""

from __future__ import annotations

import errno
import json
import os
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from opentelemetry._logs import SeverityNumber
from opentelemetry.context import get_current

from otel_duckdb import contract
from otel_duckdb.contract.monitor import AUDIT
from otel_duckdb.files import is_database, open_for_appending
from otel_duckdb.installation import install_command
from otel_duckdb.monitor.machine import CpuShare
from otel_duckdb.monitor.part import Part
from otel_duckdb.monitor.times import iso
from otel_duckdb.settings import SettingError
from otel_duckdb.telemetry.compatibility import emit_log
from otel_duckdb.telemetry.locks import make_reentrant_lock
from otel_duckdb.text import encodable, printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from opentelemetry._logs import Logger

    from otel_duckdb.monitor.alerts.alert import Alert
    from otel_duckdb.monitor.sample import Sample

_SIZE: Final = 10_000_000
_FILES: Final = 5
_CHANGE: Final = 0.2
_WITHIN: Final = 300.0
_MINUTE: Final = 60.0
"""Seconds over which the use of the processors is averaged, for a moment says nothing of it."""
_SEVERITIES: Final = {
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "critical": SeverityNumber.ERROR,
    "emergency": SeverityNumber.FATAL,
}

EVENTS: Final = {
    "monitoring_started": "The monitor began.",
    "monitoring_stopped": "The monitor ended.",
    "resource_alert": "An alert began, got worse, or is told after its silence.",
    "critical_resource_alert": "One of level critical or emergency, which requires investigation.",
    "alert_resolved": "An alert is over.",
    "resource_usage_change": "Memory or processor use changed by 20 points of a hundred within 5 minutes.",
    "automatic_cleanup": "The automatic clean-up ran.",
    "emergency_cleanup": "The emergency clean-up ran.",
    "action": "One action, and on whose behalf.",
    "acting_request": "A request to the API that acts was let through, and who sent it.",
    "refused_access": "A request to the API was refused.",
}
"""Every event, and what it means."""


class AuditFile:
    """JSON lines in a file of this user alone, with a few older files beside it; encrypted where a key is given."""

    def __init__(self, path: Path, *, key: str | None = None, size: int = _SIZE, files: int = _FILES) -> None:
        """Append to `path`; with `key`, a key of Fernet, each line is a token of its own.

        Raises:
            SettingError: the file cannot be written, the key is none, or cryptography is not installed.
        """
        self._path = path
        self._size = size
        self._files = files
        self._encrypt = None if key is None else _cipher(key)
        self._lock = make_reentrant_lock()
        self._torn = False
        if is_database(path):
            raise SettingError(f"the audit file {printable(path)} is a database of DuckDB; name another file")
        try:
            os.close(self._open())
        except OSError as error:
            raise SettingError(f"the audit file {printable(path)} cannot be written: {error.strerror}") from None

    def write(self, event: Mapping[str, Any]) -> None:
        """Append one line; raises OSError where the disk is full."""
        line = json.dumps(event, default=str, allow_nan=False).encode()
        if self._encrypt is not None:
            line = self._encrypt(line)
        with self._lock:
            descriptor = self._open()
            try:
                if os.fstat(descriptor).st_size + len(line) >= self._size:
                    os.close(descriptor)
                    self._rotate()
                    descriptor = self._open()
                # In one call, so that lines of two processes do not mix; after one that was torn, on a line of its own.
                whole = (b"\n" if self._torn else b"") + line + b"\n"
                self._torn = os.write(descriptor, whole) < len(whole)
                if self._torn:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            finally:
                os.close(descriptor)

    def _open(self) -> int:
        return open_for_appending(self._path)

    def _rotate(self) -> None:
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{number}") for number in range(1, self._files))]
        for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
            with suppress(FileNotFoundError):
                newer.replace(older)


def decrypt(line: str, key: str) -> dict[str, Any]:
    """Read one line of an encrypted file.

    Raises:
        SettingError: the key is not the one it was written with.
    """
    from cryptography.fernet import Fernet, InvalidToken  # noqa: PLC0415 - only who encrypts needs it

    try:
        event = json.loads(Fernet(key).decrypt(line.strip()))
    except (InvalidToken, ValueError):
        raise SettingError("the line was not written with this key") from None
    return dict(event)


def _cipher(key: str) -> Any:
    try:
        from cryptography.fernet import Fernet  # noqa: PLC0415 - only who encrypts needs it
    except ImportError:
        raise SettingError(f"an encrypted audit file needs cryptography; run: {install_command('monitor')}") from None
    try:
        return Fernet(key).encrypt
    except ValueError:
        raise SettingError("the key of the audit file must be 32 bytes in URL-safe base64") from None


class Audit(Part):
    """Tells of what the monitor saw and did. No event holds a text of a query or a value of the user's."""

    component = "audit"

    def __init__(self, logger: Logger, file: AuditFile | None = None) -> None:
        self._logger = logger
        self._file = file
        self._past: dict[str, deque[tuple[float, float]]] = {}
        self._shares: dict[str, float] = {}
        self._cpu = CpuShare()
        self._cpu_due: float | None = None

    def start(self) -> None:
        """Tell that the monitor began."""
        self.tell("monitoring_started", pid=os.getpid())

    def stop(self) -> None:
        """Tell that the monitor ended."""
        self.tell("monitoring_stopped", pid=os.getpid())

    def sampled(self, sample: Sample) -> None:
        """Tell of a significant change of memory, or of the use of the processors."""
        fullest = sample.fullest(contract.MEMORY_USED, contract.MEMORY_LIMIT)
        if fullest is not None:
            self.changed(sample.monotonic, "memory_percent", fullest[0] / fullest[1])
        if self._cpu_due is None or sample.monotonic >= self._cpu_due:
            share = self._cpu.look()
            if self._cpu_due is not None and share is not None:
                self.changed(sample.monotonic, "cpu_percent", share)
            self._cpu_due = sample.monotonic + _MINUTE

    def changed(self, now: float, name: str, share: float) -> None:
        """Tell of a share that changed by a fifth of the whole within five minutes; once, then from there."""
        past = self._past.setdefault(name, deque())
        while past and past[0][0] < now - _WITHIN:
            past.popleft()
        self._shares[name] = share
        far = max((before for _, before in past), key=lambda before: abs(share - before), default=share)
        if abs(share - far) >= _CHANGE:
            told: dict[str, object] = {each: round(100 * value, 1) for each, value in self._shares.items()}
            told[f"{name}_before"] = round(100 * far, 1)
            self.tell("resource_usage_change", "info", change_type="rise" if share > far else "fall", **told)
            past.clear()
        if not past or now - past[-1][0] >= _WITHIN / 60:
            past.append((now, share))

    def alerted(self, alert: Alert, *, tell: bool) -> None:
        """Tell of an alert, whether people were told or not."""
        severe = alert.level.word != "warning"
        memory = alert.metrics.get("memory", {})
        self.tell(
            "critical_resource_alert" if severe else "resource_alert",
            alert.level.word,
            alert=alert.name,
            alert_id=alert.id,
            alert_level=alert.level.word,
            message=alert.message,
            database=alert.database,
            memory_percent=memory.get("duckdb_memory_percent"),
            cpu_percent=alert.metrics.get("system", {}).get("cpu_usage_percent"),
            active_queries=alert.metrics.get("queries", {}).get("active_queries"),
            notified=tell,
            requires_investigation=severe,
        )

    def resumed(self, alert: Alert) -> None:
        """Tell that people are told of an alert now."""
        self.alerted(alert, tell=True)

    def ended(self, alert: Alert) -> None:
        """Tell that an alert is over."""
        self.tell("alert_resolved", alert=alert.name, alert_id=alert.id, database=alert.database, peak=alert.peak)

    def tell(self, event: str, level: str = "info", /, **attributes: object) -> None:
        """Tell of one event of `EVENTS`; attributes that are None are left out."""
        now = time.time()
        told = {name: _fit(value) for name, value in attributes.items() if value is not None}
        emit_log(
            self._logger,
            timestamp=int(now * 1e9),
            context=get_current(),
            severity_number=_SEVERITIES[level],
            body=event,
            attributes={f"{AUDIT}.{name}": value for name, value in told.items()},
            event_name=f"{AUDIT}.{event}",
        )
        if self._file is not None:
            self._file.write({"time": iso(now), "event": event, "level": level, **told})


def _fit(value: object) -> str | bool | int | float:
    return value if isinstance(value, bool | int | float) else printable(encodable(str(value)))
