"""The present state in the words and figures of the API's `/api/status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psutil

from otel_duckdb import contract
from otel_duckdb.monitor.part import Part
from otel_duckdb.monitor.times import iso

if TYPE_CHECKING:
    from otel_duckdb.contract import Metric
    from otel_duckdb.monitor.sample import Sample

_SYNC: Final = (contract.SYNC_PENDING_ROWS, contract.SYNC_LAG)


class Status(Part):
    """Keeps the last sample, and tells it by subject."""

    component = "status"

    def __init__(self) -> None:
        self.sample: Sample | None = None
        self._cpu: float | None = None

    def start(self) -> None:
        """Begin to measure the processors."""
        psutil.cpu_percent()

    def sampled(self, sample: Sample) -> None:
        """Keep the sample, and how busy the processors were since the last."""
        self._cpu = psutil.cpu_percent()
        self.sample = sample

    def metrics(self) -> dict[str, Any]:
        """Return the last sample by subject; None stands for what is not known.

        Percent and limit are those of the database that is nearest to its own limit, bytes in use those of all.
        """
        sample = self.sample
        if sample is None:
            return {"timestamp": None}
        in_memory = sample.fullest(contract.MEMORY_USED, contract.MEMORY_LIMIT) or (None, None)
        on_disk = sample.fullest(contract.DISK_USAGE, contract.MAX_DISK_USAGE) or (None, None)
        memory = psutil.virtual_memory()
        return {
            "timestamp": iso(sample.unix_seconds),
            "memory": {
                "duckdb_memory_bytes": sample.total(contract.MEMORY_USED),
                "duckdb_memory_limit_bytes": in_memory[1],
                "duckdb_memory_percent": _percent(*in_memory),
                "resident_bytes": sample.total(contract.PROCESS_MEMORY),
                "machine_bytes": memory.total,
                "machine_available_bytes": memory.available,
            },
            "system": {"cpu_usage_percent": self._cpu or 0.0, "memory_usage_percent": memory.percent},
            "queries": {
                "active_queries": int(sample.total(contract.ACTIVE_QUERIES) or 0),
                "oldest_seconds": max((value for _, value in sample.of(contract.OLDEST_QUERY)), default=0.0),
                "per_second": sample.total(contract.QUERIES_PER_SECOND) or 0.0,
                "by_type": {
                    series.label(contract.QUERY_TYPE): value for series, value in sample.of(contract.QUERIES_PER_SECOND)
                },
            },
            "disk": {
                "used_bytes": sample.total(contract.DISK_USAGE),
                "limit_bytes": on_disk[1],
                "percent": _percent(*on_disk),
                "wal_bytes": sample.total(contract.WAL_SIZE),
                "temporary_bytes": sample.total(contract.TEMPORARY_FILES),
            },
            "connections": {"open": int(sample.total(contract.ACTIVE_CONNECTIONS) or 0)},
            "transactions": {
                "succeeded": int(sample.total(contract.TRANSACTION_SUCCESS) or 0),
                "failed": int(sample.total(contract.TRANSACTION_FAILURE) or 0),
            },
            "sync": _sync(sample),
        }

    def databases(self) -> list[dict[str, Any]]:
        """Return the figures of each database."""
        sample = self.sample
        if sample is None:
            return []
        names = dict.fromkeys(series.label(contract.DATABASE) for series, _ in sample.of(contract.ACTIVE_CONNECTIONS))
        return [_database(sample, name) for name in names if name]


def _database(sample: Sample, name: str) -> dict[str, Any]:
    def total(metric: Metric) -> float | None:
        return sample.total(metric, **{contract.DATABASE: name})

    used, limit = total(contract.MEMORY_USED), total(contract.MEMORY_LIMIT)
    return {
        "name": name,
        "memory_bytes": used,
        "memory_limit_bytes": limit,
        "memory_percent": _percent(used, limit),
        "disk_bytes": total(contract.DISK_USAGE),
        "wal_bytes": total(contract.WAL_SIZE),
        "temporary_bytes": total(contract.TEMPORARY_FILES),
        "connections": int(total(contract.ACTIVE_CONNECTIONS) or 0),
        "active_queries": int(total(contract.ACTIVE_QUERIES) or 0),
    }


def _sync(sample: Sample) -> dict[str, Any]:
    tables: dict[str, dict[str, Any]] = {}
    for metric, field in zip(_SYNC, ("pending_rows", "lag_seconds"), strict=True):
        for series, value in sample.of(metric):
            tables.setdefault(series.label(contract.TABLE_NAME), {})[field] = value
    return {"tables": [{"table": table, **figures} for table, figures in tables.items()]}


def _percent(used: float | None, limit: float | None) -> float:
    """Return used over limit in percent, 0 where one of them is unknown: readers of the guide's API expect a number."""
    return 0.0 if not used or not limit else used / limit * 100
