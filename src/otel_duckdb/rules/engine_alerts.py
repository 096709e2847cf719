"""The alerts on what DuckDB holds: memory, disk, write-ahead log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb import contract
from otel_duckdb.rules.alert import BYTES, MINUTE, SHARE, WHERE, Alert, Culprit, Severity
from otel_duckdb.rules.condition import Condition, Measure
from otel_duckdb.rules.expressions import DATABASES, summed

if TYPE_CHECKING:
    from otel_duckdb.rules.thresholds import Thresholds

CACHE: Final = "BASE_TABLE|EXTERNAL_FILE_CACHE|OBJECT_CACHE"
"""The tags of memory that DuckDB drops at need: blocks of tables and files that are on disk all the same."""


def memory(limits: Thresholds) -> Alert:
    """Memory that cannot be dropped, near the limit."""
    used, limit = contract.MEMORY_USED.prometheus_name, contract.MEMORY_LIMIT.prometheus_name
    by_tag = contract.MEMORY_BY_TAG.prometheus_name
    cache = summed(f'{by_tag}{{{contract.MEMORY_TAG}=~"{CACHE}"}}', DATABASES)
    here = f"job={{{{ $labels.job }}}}, {contract.DATABASE}={{{{ $labels.{contract.DATABASE} }}}}"
    return Alert(
        "DuckDBMemoryHigh",
        Severity.WARNING,
        f"({used} - ({cache}\n  or {used} * 0))\n/ {limit} > {limits.memory_ratio:g}",
        limits.duration(5 * MINUTE),
        f"{WHERE}: what DuckDB cannot drop takes {SHARE} of its memory limit",
        f"DuckDB's buffer manager holds over {limits.memory_ratio:.0%} of memory_limit for what it cannot drop at"
        " need. Blocks"
        " of tables and files that it merely caches do not count. What queries and temporary tables hold is spilled"
        " to disk,"
        " or ends in an OutOfMemoryException.",
        "The culprit names the largest tags: HASH_TABLE, ORDER_BY and WINDOW are queries at work, IN_MEMORY_TABLE is"
        " data. On"
        " the engine dashboard, memory by tag and the temporary storage.",
        "Run fewer heavy queries at once, lower threads, set preserve_insertion_order to false, drop temporary"
        " tables, or raise"
        " memory_limit, within what the machine has. Memory that DuckDB has given up and the process still holds goes"
        " back by"
        " SET memory_limit to its present value.",
        ("engine", "Memory by tag"),
        Culprit(
            f'topk(2, {by_tag}{{{here}, {contract.MEMORY_TAG}!~"{CACHE}"}} > 0)',
            contract.MEMORY_TAG,
        ),
        condition=Condition(
            Measure.SHARE,
            contract.MEMORY_BY_TAG,
            limits.memory_ratio,
            limits.seconds(5 * MINUTE),
            contract.MEMORY_LIMIT,
            by=(contract.DATABASE,),
            without=(contract.MEMORY_TAG, tuple(CACHE.split("|"))),
            unit="share",
        ),
    )


def disk(limits: Thresholds) -> Alert:
    """Disk space that runs out."""
    used, limit = contract.DISK_USAGE.prometheus_name, contract.MAX_DISK_USAGE.prometheus_name
    return Alert(
        "DuckDBDiskHigh",
        Severity.CRITICAL,
        f"{used} / {limit} > {limits.disk_ratio:g}",
        limits.duration(5 * MINUTE),
        f"{WHERE}: DuckDB uses {SHARE} of the disk space it may use",
        f"Database file, write-ahead log and temporary files take over {limits.disk_ratio:.0%} of the configured"
        " maximum, or of what the file system can give. When it is full, writes and spilling queries fail.",
        "On the engine dashboard, which of the three grows, and the disk fragmentation.",
        "Log growing: end transactions that stay open, then CHECKPOINT (never FORCE CHECKPOINT: while it waits,"
        " everybody"
        " waits). Temporary files: end the query that spills. The file itself: DROP TABLE and CHECKPOINT give its end"
        " back,"
        " DELETE and VACUUM do not: the file even grows while half of a table is deleted. To make it small, copy it"
        " to another disk (ATTACH '/other/disk/new.duckdb' AS copy; COPY FROM DATABASE orders TO copy; with its own"
        " name for orders), and put the copy in its place while nobody has either open. Else move data, or give more"
        " disk.",
        ("engine", "Disk and its limit"),
        condition=Condition(
            Measure.SHARE,
            contract.DISK_USAGE,
            limits.disk_ratio,
            limits.seconds(5 * MINUTE),
            contract.MAX_DISK_USAGE,
            by=(contract.DATABASE,),
            unit="share",
        ),
    )


def wal(limits: Thresholds) -> Alert:
    """A write-ahead log that no checkpoint empties."""
    window = limits.duration(10 * MINUTE)
    name = contract.WAL_SIZE.prometheus_name
    return Alert(
        "DuckDBWalGrowing",
        Severity.WARNING,
        f"min_over_time({name}[{window}]) > {limits.wal_bytes:.15g} and delta({name}[{window}]) > 0",
        "0s",  # the window has waited already
        f"{WHERE}: the write-ahead log has grown for {window}, and holds at least {BYTES}",
        f"For {window} the write-ahead log was larger than {limits.wal_bytes / 1e6:g} MB and grew. DuckDB empties it"
        " by a"
        " checkpoint at 16 MB, unless wal_autocheckpoint says otherwise, or a transaction that stays open prevents"
        " it. A long"
        " log makes the next start slow.",
        "On the engine dashboard, the write-ahead log and the disk; in the program, a transaction that was begun and"
        " not ended,"
        " or a result that is half read.",
        "End the transaction, then CHECKPOINT; it fails at once while another transaction prevents it, and may be"
        " tried again."
        " Never FORCE CHECKPOINT: while it waits, everybody waits. If the program sets wal_autocheckpoint higher:"
        " otel-duckdb rules --wal-bytes 1000000000.",
        ("engine", "Write-ahead log"),
        condition=Condition(
            Measure.GROWN,
            contract.WAL_SIZE,
            limits.wal_bytes,
            window=limits.seconds(10 * MINUTE),
            by=(contract.DATABASE,),
            unit="bytes",
        ),
    )
