"""Metrics written to files, at an interval and at critical alerts, kept for some days; reports that are posted."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError

from otel_duckdb.files import write_privately
from otel_duckdb.monitor.part import Part
from otel_duckdb.monitor.posting import TIMEOUT, host_of, post_json
from otel_duckdb.monitor.times import iso
from otel_duckdb.settings import SettingError
from otel_duckdb.telemetry.locks import make_reentrant_lock
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_duckdb.monitor.sample import Sample
    from otel_duckdb.monitor.settings import MonitorSettings

FORMATS: Final = ("json", "csv")
_COLUMNS: Final = ("time", "metric", "labels", "unit", "min", "mean", "max")
_OURS: Final = re.compile(r"duckdb-metrics-\d{8}T\d{12}Z\.(json|csv)")
"""The names of our own files: nothing else in the folder is ever removed."""
_DAY: Final = 86_400.0
_ALERT_PAUSE: Final = 60.0
"""Seconds between two exports because of alerts: alerts that flap must not fill the disk."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def write_metrics(path: str | Path, metrics: Mapping[str, Any], shape: str | None = None) -> None:
    """Write what `Monitor.metrics` returns to a file that this user alone can read; it is whole or not there.

    Args:
        path: The file; one that exists is replaced.
        metrics: The history.
        shape: `json` or `csv`; None takes what the name ends with, else JSON.

    Raises:
        ValueError: there is no such format.
        OSError: the file cannot be written; what was there before is still there.
    """
    path = Path(path)
    shape = shape or ("csv" if path.suffix.lower() == ".csv" else "json")
    if shape not in FORMATS:
        raise ValueError(f"format is {shape!r}; allowed is {', '.join(FORMATS)}")
    text = as_csv(metrics) if shape == "csv" else json.dumps(metrics, allow_nan=False) + "\n"
    write_privately(path, text)


def as_csv(metrics: Mapping[str, Any]) -> str:
    """One row for each time of each series; gaps have none."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for series in metrics["series"]:
        # A spreadsheet runs a cell that begins like a formula.
        labels = encodable(json.dumps(series["labels"], ensure_ascii=False))
        name = f"'{series['metric']}" if series["metric"].startswith(_FORMULA) else series["metric"]
        for step, moment in enumerate(metrics["times"]):
            if series["mean"][step] is not None:
                figures = (series[field][step] for field in ("min", "mean", "max"))
                rows.writerow((iso(moment), name, labels, series["unit"], *figures))
    return out.getvalue()


def make_exporter(options: MonitorSettings, metrics: Callable[..., Mapping[str, Any]]) -> Exporter | None:
    """Make the exporter that the options ask for, None where they name no folder."""
    if options.export_folder is None:
        return None
    return Exporter(
        metrics,
        options.export_folder,
        shape=options.export_format,
        every_seconds=options.export_interval_seconds,
        keep_days=options.export_days,
    )


class Exporter(Part):
    """Writes the metrics of the time since the last export to a folder, and removes its own files when they are old.

    Attributes:
        folder: Where the files are, each named by its time.
    """

    component = "exports"

    def __init__(
        self,
        metrics: Callable[..., Mapping[str, Any]],
        folder: str | Path,
        *,
        shape: str = "json",
        every_seconds: float = 3600.0,
        keep_days: float = 7.0,
    ) -> None:
        """Write what `metrics` returns, which is `Monitor.metrics`, every so many seconds.

        Raises:
            SettingError: there is no such format.
        """
        if shape not in FORMATS:
            raise SettingError(f"the format of exports is {shape!r}; allowed is {', '.join(FORMATS)}")
        self.folder = Path(folder)
        self._metrics = metrics
        self._shape = shape
        self._every = every_seconds
        self._keep = keep_days * _DAY
        self._due: float | None = None
        self._since = time.time()
        self._told = -_ALERT_PAUSE
        self._lock = make_reentrant_lock()

    def sampled(self, sample: Sample) -> None:
        """Export when it is time to."""
        if self._due is None:
            self._due = sample.monotonic + self._every
        elif sample.monotonic >= self._due:
            self._due = sample.monotonic + self._every  # before it: a full disk is tried again then
            self.export()

    def stop(self) -> None:
        """Export what came since the last time, if a run was begun."""
        if self._due is not None:
            self.export()

    def alerted(self, alert: Any) -> None:
        """Export at once where an alert is critical or worse: a handler for `monitor.on("alert", …)`."""
        level = alert.as_json()["level"] if hasattr(alert, "as_json") else alert["level"]
        now = time.monotonic()
        if level in {"critical", "emergency"} and now - self._told >= _ALERT_PAUSE:
            self._told = now
            self.export()

    def export(self) -> Path:
        """Write one file now, and remove those that are too old.

        Raises:
            OSError: the folder or the file cannot be written; what was not written is in the next export.
        """
        with self._lock:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._remove_old()
            now = time.time()
            stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%S%f")
            path = self.folder / f"duckdb-metrics-{stamp}Z.{self._shape}"
            start = self._since if 0 < now - self._since < _DAY else now - _DAY  # a clock that was set makes no gap
            write_metrics(path, self._metrics((), start, now), self._shape)
            self._since = now
            return path

    def _remove_old(self) -> None:
        oldest = time.time() - self._keep
        for path in self.folder.iterdir():
            if _OURS.fullmatch(path.name) and not path.is_symlink() and path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)


def post_report(report: Mapping[str, Any], url: str, timeout: float = TIMEOUT) -> None:
    """Post a report of `make_report` as JSON, as `MONITORING_WEBHOOK` asks for.

    Raises:
        SettingError: `url` is no address of HTTP.
        OSError: it could not be posted; the message names the host alone, for the rest of an address is often a secret.
    """
    host = host_of(url)
    body = json.dumps(report, allow_nan=False, default=str).encode()
    try:
        post_json(url, body, timeout)
    except HTTPError as error:
        error.close()
        raise OSError(f"webhook {host} answered HTTP {error.code}") from None
    except (OSError, ValueError) as error:
        raise OSError(f"webhook {host}: {getattr(error, 'reason', error)}") from None
