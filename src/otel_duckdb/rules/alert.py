"""What an alert is, and the words and figures in which it speaks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from otel_duckdb.rules.condition import Condition

MINUTE: Final = 60
WHERE: Final = "{{ $labels.job }}{{ with $labels.database }} (database {{ . }}){{ end }}"
"""The program, and its database where it has several."""
FIGURE: Final = '{{ printf "%.0f" $value }}'
"""A count; what Prometheus extrapolated is rounded."""
BYTES: Final = "{{ $value | humanize1024 }}B"
SHARE: Final = "{{ $value | humanizePercentage }}"
DURATION: Final = (
    '{{ if and (ge $value 1.0) (lt $value 60.0) }}{{ printf "%.1f s" $value }}'
    "{{ else }}{{ $value | humanizeDuration }}{{ end }}"
)
"""Seconds as a person reads them: 125ms, 2.2 s, 4m 5s."""


class Severity(Enum):
    """How soon a person must look: at once, or in working hours."""

    CRITICAL = "critical"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Culprit:
    """Who is to blame: a query that Prometheus answers when the alert is written, and the label that names it.

    `query` may hold the templates of Prometheus' annotations, as `{{ $labels.job }}`, each in quotes of its own.
    """

    query: str
    label: str

    @property
    def template(self) -> str:
        """The annotation's text: what the label says, or nothing where the query finds nothing."""
        parts = self.query.split("{{")
        pieces, arguments = [parts[0]], []
        for part in parts[1:]:
            argument, _, rest = part.partition("}}")
            arguments.append(argument.strip())
            pieces.append(rest)
        # `printf` puts the labels in, with quotes around them.
        asked = f"printf {_go_string('%q'.join(piece.replace('%', '%%') for piece in pieces))} {' '.join(arguments)}"
        asked = f"{asked.rstrip()} | query"
        return "{{ range " + asked + " }}{{ . | label " + _go_string(self.label) + " }} {{ end }}"


def _go_string(text: str) -> str:
    return f"`{text}`"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; `summary` is a Prometheus template, the three texts after it are its runbook.

    `panel` is the dashboard's name and the panel's title where it is seen, `traced` tells whether traces show it.
    `condition` is what a process can judge of it by itself, with the same thresholds as the expression.
    """

    name: str
    severity: Severity
    expression: str
    lasting: str
    summary: str
    meaning: str
    check: str
    action: str
    panel: tuple[str, str]
    culprit: Culprit | None = None
    traced: bool = False
    condition: Condition | None = None
