"""Which process of a group alerts and acts: the one that holds a lock, and within two seconds of its death the next."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.files import read_text
from otel_duckdb.installation import install_command
from otel_duckdb.monitor.part import Part
from otel_duckdb.settings import SettingError
from otel_duckdb.telemetry.locks import make_event
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otel_duckdb.monitor.sample import Sample

logger: Final = logging.getLogger("otel_duckdb")
_HUNG: Final = 15.0
"""Seconds without a sign of life after which a leader is taken to hang."""


class Leader(Part):
    """Takes part in the election of a group of processes on one host, by a lock that the system gives up at a death.

    The lock's file is never removed: whoever removed it would let in a second leader. A leader that hangs keeps the
    lock, and is only told of, for it may go on at any moment.

    Attributes:
        leads: Whether this process leads its group.
    """

    component = "leader"

    def __init__(
        self,
        folder: Path,
        group: str,
        *,
        emit: Callable[[str, Any], None] = lambda _event, _payload: None,
        poll_seconds: float = 0.5,
        hung_seconds: float = _HUNG,
    ) -> None:
        """Elect in `folder`, which must be this user's, on a local disk; `group` may be any text, such as a path.

        Raises:
            SettingError: the folder cannot be used, or filelock is not installed.
        """
        try:
            from filelock import FileLock  # noqa: PLC0415 - only who takes part in an election needs it
        except ImportError:
            raise SettingError(f"an election needs filelock; run: {install_command('monitor')}") from None
        _check(folder)
        name = hashlib.sha256(group.encode("utf-8", "backslashreplace")).hexdigest()[:16]
        self._new_lock: Callable[[], FileLock] = partial(
            FileLock, str(folder / f"leader-{name}.lock"), mode=0o600, thread_local=False
        )
        self._life = folder / f"leader-{name}.json"
        self._lock = self._new_lock()
        self._emit = emit
        self._poll = poll_seconds
        self._hung = hung_seconds
        self._process = os.getpid()
        self._stopping = make_event()
        self._thread: threading.Thread | None = None
        self._told_of = ""
        self._last_seen = ("", time.monotonic())
        self._alive = 0.0
        self.leads = False

    def start(self) -> None:
        """Take part, and know at once whether this process leads."""
        if self._process != os.getpid():  # the lock is the parent's, and must not be given up here
            self._lock, self._process, self.leads = self._new_lock(), os.getpid(), False
        self._stopping = make_event()
        self._alive = time.monotonic()
        self._look()
        self._thread = threading.Thread(target=self._work, name="otel-duckdb-leader", daemon=True)
        self._thread.start()

    def sampled(self, sample: Sample) -> None:
        """Give a sign of life: a leader whose monitor hangs gives none, whatever its other threads do."""
        del sample
        self._alive = time.monotonic()
        if self.leads:
            self._write()

    def stop(self) -> None:
        """Take part no more; a stand-by takes over."""
        self._stopping.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(1.0)
        self.leads = False
        if self._process == os.getpid():
            with suppress(OSError):
                self._lock.release()

    def as_json(self) -> dict[str, Any]:
        """Who leads, as far as it is known."""
        return {"leads": self.leads, "leader": os.getpid() if self.leads else self._seen().get("pid")}

    def _work(self) -> None:
        while not self._stopping.wait(self._poll):
            try:
                self._look()
            except Exception as fault:
                if self._told_of != type(fault).__name__:
                    self._told_of = type(fault).__name__
                    logger.warning(
                        "otel_duckdb: the election of a leader failed (%s); it is tried again", self._told_of
                    )

    def _look(self) -> None:
        if self.leads:
            return
        from filelock import Timeout  # noqa: PLC0415 - as above

        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            self._watch()
            return
        self.leads = True
        self._write()
        self._emit("updated", {"leader": os.getpid()})

    def _watch(self) -> None:
        """Look for a sign of life of the leader; judged by our own clock, so that one that jumps proves nothing."""
        seen = self._seen()
        sign = json.dumps(seen, sort_keys=True)
        if sign != self._last_seen[0]:
            self._last_seen, self._told_of = (sign, time.monotonic()), ""
        elif seen and time.monotonic() - self._last_seen[1] > self._hung and self._told_of != sign:
            self._told_of = sign
            process = printable(seen.get("pid", "?"))
            logger.warning(
                "otel_duckdb: the monitor that leads (process %s) has given no sign of life for %.0f s and keeps the"
                " lead; nobody alerts until it goes on or ends",
                process,
                self._hung,
            )
            self._emit("issue", {"type": "leader_hung", "level": "critical", "message": f"process {process} hangs"})

    def _write(self) -> None:
        new = self._life.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                json.dump({"pid": os.getpid(), "sign": time.time()}, file)
            new.replace(self._life)

    def _seen(self) -> dict[str, Any]:
        try:
            seen = json.loads(read_text(self._life))
        except (OSError, ValueError, RecursionError):
            return {}
        return seen if isinstance(seen, dict) else {}


def _check(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise SettingError(f"the folder {printable(folder)} cannot be used: {error.strerror}") from None
    if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o022):
        raise SettingError(f"the folder {printable(folder)} must belong to this user, and nobody else may write it")
