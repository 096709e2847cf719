"""Silences: what is not to be told for a while; it is judged and logged all the same."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.core import source
from otel_duckdb.monitor.alerts.expressions import ANY, Expressions
from otel_duckdb.monitor.times import iso
from otel_duckdb.settings import SettingError
from otel_duckdb.telemetry.locks import make_reentrant_lock
from otel_duckdb.text import encodable, printable

if TYPE_CHECKING:
    from otel_duckdb.monitor.alerts.alert import Alert
    from otel_duckdb.monitor.alerts.alertmanager import Received

_LIMIT: Final = 100
_LENGTH: Final = 1_024
"""Characters of an expression, and of a reason."""


class NoSuchSilenceError(LookupError):
    """A silence is not there: it is over, or never was."""


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence; `name` and `database` are regular expressions of RE2 that must match in whole.

    Attributes:
        id: Names it, to end it early.
        ends: When it ends, in seconds since 1970; a silence without an end is not made.
        reason: Why, for whoever wonders.
    """

    id: str
    name: str
    database: str
    ends: float
    reason: str

    def as_json(self) -> dict[str, Any]:
        """The silence as the API shows it."""
        return {
            "id": self.id,
            "name": encodable(self.name),
            "database": encodable(self.database),
            "ends": iso(self.ends),
            "reason": self.reason,
        }


class Silences:
    """The silences that have not ended; from any thread."""

    def __init__(self) -> None:
        self._lock = make_reentrant_lock()
        self._numbers = itertools.count(1)
        self._silences: dict[str, Silence] = {}
        self._expressions = Expressions()

    def add(self, now: float, seconds: float, name: str = ANY, database: str = ANY, reason: str = "") -> Silence:
        """Silence for `seconds` from `now` on.

        Raises:
            SettingError: it has no end in the future, an expression is none of RE2, or there are too many.
        """
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise SettingError(f"a silence of {seconds!r}; allowed is a number of seconds")
        if not 0 < seconds <= 366 * 86_400:
            raise SettingError(f"a silence of {seconds:g} s; allowed is more than 0 s, up to 366 days")
        for pattern in (name, database):
            if not isinstance(pattern, str):
                raise SettingError(f"a silence of {pattern!r}; allowed is an expression of RE2, as a text")
            if len(pattern) > _LENGTH:
                raise SettingError(f"an expression of {len(pattern)} characters; allowed are {_LENGTH}")
            self._expressions.check(pattern)
        with self._lock:
            if len(self._active(now)) >= _LIMIT:
                raise SettingError(f"there are {_LIMIT} silences already; end one first")
            made = Silence(str(next(self._numbers)), name, database, now + seconds, printable(reason[:_LENGTH]))
            self._silences[made.id] = made
        return made

    def end(self, silence_id: str) -> Silence:
        """End a silence before its time, and return it.

        Raises:
            NoSuchSilenceError: it is over, or there never was one of this id.
        """
        with self._lock:
            found = self._silences.pop(silence_id, None)
        if found is None:
            raise NoSuchSilenceError(f"no silence has the id {printable(silence_id[:20])!r}; it may be over")
        return found

    def active(self, now: float) -> list[Silence]:
        """Those that have not ended."""
        with self._lock:
            return self._active(now)

    def cover(self, alert: Alert | Received, now: float) -> bool:
        """Whether one of them covers the alert; where DuckDB cannot say, none does, for an alert is better told."""
        asked = [((one.name, alert.name), (one.database, alert.database)) for one in self.active(now)]
        try:
            matches = self._expressions.match(pair for both in asked for pair in both)
        except Exception as error:
            source.report("alerts", error)
            return False
        return any(matches[name] and matches[database] for name, database in asked)

    def _active(self, now: float) -> list[Silence]:
        self._silences = {key: one for key, one in self._silences.items() if one.ends > now}
        return list(self._silences.values())
