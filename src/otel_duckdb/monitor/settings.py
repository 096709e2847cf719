"""Every option of the monitor: its name, its environment variable, its default and its meaning."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from otel_duckdb.monitor.alerts.settings import AlertSettings
from otel_duckdb.monitor.server_settings import ServerSettings
from otel_duckdb.settings import (
    MONITOR_VARIABLES,
    SettingError,
    boolean,
    choice,
    filled,
    misspelt,
    number,
    option,
    read_options,
    switched,
    switches,
    text,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST_INTERVAL_MS = 100
_TRACE_URL = "http:// or https:// with {trace_id} in it, and {span_id}, {start_ms} or {end_ms} where they are needed"


def _trace_url(name: str, value: object) -> str:
    """Read the template of an address."""
    found = str(value).strip()
    if not found.startswith(("http://", "https://")) or "{trace_id}" not in found:
        raise SettingError(f"{name} is {found!r}; allowed is {_TRACE_URL}")
    return found


@dataclass(frozen=True)
class MonitorSettings(AlertSettings, ServerSettings):
    """The options of the monitor: from a keyword of `Monitor`, else from the environment, else the default."""

    features: Mapping[str, bool] | None = option(
        switches, None, "OTEL_DUCKDB_FEATURES", "Switches: `monitoring,alerting=false`, or a mapping."
    )
    features_file: str | None = option(
        text, None, "OTEL_DUCKDB_FEATURES_FILE", "A YAML or JSON file with switches of features."
    )
    interval_ms: float | None = option(
        number(LEAST_INTERVAL_MS, 3_600_000, "milliseconds"),
        None,
        "DUCKDB_MONITORING_INTERVAL",
        "Milliseconds between two samples; else 1000, in the light mode 30000.",
    )
    light: bool = option(
        boolean,
        False,
        "OTEL_DUCKDB_MONITOR_LIGHT",
        "For small machines: a sample every 30 s, a history by the minute, no server.",
    )
    statements: int = option(
        whole(10, 100_000),
        1000,
        "OTEL_DUCKDB_MONITOR_STATEMENTS",
        "Statement shapes whose statistics are kept; of further ones those of the least time become one remainder.",
    )
    series: int = option(
        whole(10, 10_000), 200, "OTEL_DUCKDB_MONITOR_SERIES", "Series whose history is kept; 58 kB each."
    )
    history_file: str | None = option(
        filled,
        None,
        "OTEL_DUCKDB_MONITOR_HISTORY_FILE",
        "A file that keeps the history by the minute over restarts; `default` is one in the user's state folder.",
    )
    trace_url: str | None = option(
        _trace_url,
        None,
        "OTEL_DUCKDB_MONITOR_TRACE_URL",
        f"The address of a trace in Jaeger or Grafana, for the page's link: {_TRACE_URL}.",
    )
    export_folder: str | None = option(
        filled,
        None,
        "OTEL_DUCKDB_MONITOR_EXPORT_FOLDER",
        "A folder that metrics are written to, at an interval and at each critical alert.",
    )
    export_format: str = option(
        choice("json", "csv"),
        "json",
        "OTEL_DUCKDB_MONITOR_EXPORT_FORMAT",
        "The format of those files, `json` or `csv`.",
    )
    export_interval_seconds: float = option(
        number(1, 86_400, "seconds"),
        3600.0,
        "OTEL_DUCKDB_MONITOR_EXPORT_INTERVAL_SECONDS",
        "Seconds between two.",
    )
    export_days: float = option(
        number(0, unit="days"), 7.0, "OTEL_DUCKDB_MONITOR_EXPORT_DAYS", "Days after which those files are removed."
    )

    @classmethod
    def load(
        cls, options: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
    ) -> MonitorSettings:
        """Read the settings.

        Raises:
            SettingError: an option is unknown or its value is not allowed.
        """
        values = read_options(cls, options or {}, environment, " of the monitor")
        by = {"alerting": ("alerting", True, False), "page": ("serve", True, False)}
        on = {name: bool(values.get(name)) for name in ("alerting",)}
        return cls(**switched(values, by, {"analytics": True, "monitoring": True, **on}))

    @property
    def monitoring(self) -> bool:
        """Whether a switch of features lets the monitor run."""
        return (self.features or {}).get("monitoring", True)

    @property
    def interval_seconds(self) -> float:
        """Seconds between two samples."""
        if self.interval_ms is None:
            return 30.0 if self.light else 1.0
        return self.interval_ms / 1000

    @classmethod
    def misspelt_variables(cls, environment: Mapping[str, str] | None = None) -> list[str]:
        """Return one sentence for each environment variable that looks like an option of the monitor and is none."""
        known = [each.metadata["environment"] for each in fields(cls)]
        return misspelt(known, os.environ if environment is None else environment, MONITOR_VARIABLES)
