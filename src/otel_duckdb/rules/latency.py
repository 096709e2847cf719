"""Which programs and kinds of statements the latency alert asks about, and at which threshold."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final, Self

from otel_duckdb import contract
from otel_duckdb.settings import SettingError

ASKED: Final = "SELECT|INSERT|UPDATE|DELETE"
"""The statements whose latency a user feels; a CREATE TABLE AS, a COPY or an EXPORT may well take its time."""
_RULE: Final = re.compile(r"(?P<program>[^=/]+)(?:/(?P<kind>[A-Za-z_]+))?=(?P<limit>.+)")


@dataclass(frozen=True, slots=True)
class ProgramLatency:
    """A threshold of its own for one program, or for one kind of its statements; None asks nothing about it."""

    program: str
    kind: str | None
    milliseconds: float | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `PROGRAM=MILLISECONDS`, `PROGRAM/KIND=MILLISECONDS`, or `off` for the number.

        Raises:
            SettingError: it is neither.
        """
        found = _RULE.fullmatch(text.strip())
        limit = None if found is None else _limit(found["limit"])
        if found is None or (limit is not None and not 0 <= limit < math.inf):
            raise SettingError(
                f"latency_ms_of is {text!r}; allowed is PROGRAM=MILLISECONDS, PROGRAM/KIND=MILLISECONDS, or =off"
            )
        kind = found["kind"]
        return cls(found["program"], None if kind is None else kind.upper(), limit)

    @property
    def matchers(self) -> tuple[str, ...]:
        """The matchers that choose its series."""
        kinds = f'{contract.QUERY_TYPE}=~"{ASKED}"' if self.kind is None else f'{contract.QUERY_TYPE}="{self.kind}"'
        return (f"job={_quoted(self.program)}", kinds)


def _limit(text: str) -> float | None:
    if text.strip().lower() == "off":
        return None
    try:
        return float(text)
    except ValueError:
        return math.nan


def latencies(default: float, special: tuple[ProgramLatency, ...]) -> list[tuple[tuple[str, ...], float]]:
    """Matchers and thresholds, each series in one of them: a kind's own goes before its program's."""
    asked: list[tuple[tuple[str, ...], float]] = []
    others = [f'{contract.QUERY_TYPE}=~"{ASKED}"']
    whole = [one.program for one in special if one.kind is None]
    partly = sorted({one.program for one in special if one.kind is not None} - set(whole))
    if names := sorted({*whole, *partly}):
        others.append(f"job!~{_quoted('|'.join(_literal(name) for name in names))}")
    asked.append((tuple(others), default))
    for one in special:
        kinds = [other.kind for other in special if other.program == one.program and other.kind is not None]
        matchers = one.matchers
        if one.kind is None and kinds:
            matchers = (*matchers, f'{contract.QUERY_TYPE}!~"{"|".join(kinds)}"')
        if one.milliseconds is not None:
            asked.append((matchers, one.milliseconds))
    for name in partly:
        kinds = [one.kind for one in special if one.program == name and one.kind is not None]
        rest = f'{contract.QUERY_TYPE}!~"{"|".join(kinds)}"'
        asked.append(((*ProgramLatency(name, None, None).matchers, rest), default))
    return asked


def _literal(name: str) -> str:
    """A name as a regular expression of RE2 that finds the name alone."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", name)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
