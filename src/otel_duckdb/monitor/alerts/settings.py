"""The options of alerts, and of what follows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_duckdb.monitor.notification.schemes import fault
from otel_duckdb.settings import SettingError, boolean, filled, names, number, option, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

_DAY: Final = 86_400.0
_ALLOWED: Final = "ALERT.LEVEL=NUMBER with commas between them, such as DuckDBMemoryHigh.warning=0.6"


def _levels(name: str, value: object) -> dict[str, dict[str, float]]:
    """Read thresholds by alert and level."""
    if isinstance(value, dict) and all(isinstance(own, dict) for own in value.values()):
        pairs = [(f"{alert}.{level}", number) for alert, own in value.items() for level, number in own.items()]
    else:
        pairs = [(before, after) for before, _, after in (one.partition("=") for one in str(value).split(","))]
    levels: dict[str, dict[str, float]] = {}
    for path, threshold in pairs:
        alert, dot, level = path.strip().partition(".")
        try:
            levels.setdefault(alert, {})[level.strip()] = float(threshold)
        except (TypeError, ValueError):
            dot = ""
        if not dot:
            raise SettingError(f"{name} is {value!r}; allowed is {_ALLOWED}")
    return levels


def _addresses(name: str, value: object) -> tuple[str, ...]:
    parts = value.split() if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise SettingError(f"{name} is no list of addresses; allowed are texts, in a list or with blanks between them")
    wrong = fault(addresses := tuple(parts))
    if wrong:
        raise SettingError(f"{name} {wrong}")
    return addresses


@dataclass(frozen=True)
class AlertSettings:
    """The options of alerts, actions, notification, the audit trail and the election."""

    alerting: bool = option(
        boolean, True, "OTEL_DUCKDB_MONITOR_ALERTING", "Judge alerts, tell of them, and act on them."
    )
    alert_levels: Mapping[str, Mapping[str, float]] | None = option(
        _levels, None, "OTEL_DUCKDB_MONITOR_ALERT_LEVELS", f"Other thresholds of alerts: {_ALLOWED}."
    )
    alert_lasting_seconds: float | None = option(
        number(0, _DAY, "seconds"),
        None,
        "OTEL_DUCKDB_MONITOR_ALERT_LASTING_SECONDS",
        "How long every alert must last before it fires; else each has its own time.",
    )
    alert_calming_seconds: float | None = option(
        number(0, _DAY, "seconds"),
        None,
        "OTEL_DUCKDB_MONITOR_ALERT_CALMING_SECONDS",
        "How long every alert must have calmed down before it ends; else a minute.",
    )
    alert_cool_down_seconds: float = option(
        number(0, 366 * _DAY, "seconds"),
        300.0,
        "OTEL_DUCKDB_MONITOR_ALERT_COOL_DOWN_SECONDS",
        "After an alert was told, and after it ended, it is not told again for so long, unless it is worse.",
    )
    alert_batch_seconds: float = option(
        number(0, _DAY, "seconds"),
        5.0,
        "OTEL_DUCKDB_MONITOR_ALERT_BATCH_SECONDS",
        "Alerts that come within so many seconds are told in one message; an emergency at once.",
    )
    alert_batch_size: int = option(
        whole(1, 20), 5, "OTEL_DUCKDB_MONITOR_ALERT_BATCH_SIZE", "So many alerts make a message at once."
    )
    notify: tuple[str, ...] = option(
        _addresses,
        (),
        "OTEL_DUCKDB_MONITOR_NOTIFY",
        "Addresses of apprise, with blanks between them, who are told of alerts.",
    )
    actions: tuple[str, ...] = option(
        names,
        (),
        "OTEL_DUCKDB_MONITOR_ACTIONS",
        "The actions that are switched on, with commas between them: what the monitor may do by itself and by hand.",
    )
    memory_cap_ratio: float = option(
        number(0.1, 0.95),
        0.8,
        "OTEL_DUCKDB_MONITOR_MEMORY_CAP_RATIO",
        "The share of the machine's or the cgroup's memory that `raise_memory_limit` goes up to.",
    )
    audit_file: str | None = option(
        filled, None, "OTEL_DUCKDB_MONITOR_AUDIT_FILE", "A file for the audit trail, as JSON lines."
    )
    audit_key: str | None = option(
        filled,
        None,
        "OTEL_DUCKDB_MONITOR_AUDIT_KEY",
        "A key of Fernet, which the lines of that file are encrypted with.",
    )
    group: str | None = option(
        filled,
        None,
        "OTEL_DUCKDB_MONITOR_GROUP",
        "Processes of this user on this host that give the same name elect one among them, which tells and acts.",
    )
