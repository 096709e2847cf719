"""Every metric, attribute and event this package emits. No other module spells one of these names.

The names starting with `duckdb_` are Prometheus names taken literally as OpenTelemetry instrument names, so that one
string serves OTLP, Prometheus, ClickHouse, alerts and dashboards. The names starting with `db.` and `process.` are
OpenTelemetry's semantic conventions, version 1.44 (https://opentelemetry.io/docs/specs/semconv/database/).
"""

from __future__ import annotations

from typing import Final

from otel_duckdb.contract.metric import Kind as Kind
from otel_duckdb.contract.metric import Metric as Metric

SCOPE: Final = "otel_duckdb"
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
SYSTEM: Final = "duckdb"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
"""The resource attribute that `instance_id` is taken from; spelt here, for its constant moved between releases."""
OTHER: Final = "_other"
"""The label value that stands for all values past a label's limit of distinct values."""
TABLE_NAME_LIMIT: Final = 200
"""Distinct values a `table_name` or `db.query.summary` metric label may take before `_other`."""
NAME_LENGTH_LIMIT: Final = 255
"""Characters of a name of the user's: of a table, a database, a parameter."""
PARAMETER_LENGTH_LIMIT: Final = 1024
"""Characters of one captured parameter, or of one value that a comment carries."""
PARAMETER_LIMIT: Final = 64
"""Parameters of one call that are captured; those behind are left out."""

# Labels of metrics.
QUERY_TYPE: Final = "query_type"
TABLE_NAME: Final = "table_name"
INSTANCE_ID: Final = "instance_id"
DATABASE: Final = "database"
ERROR_TYPE_LABEL: Final = "error_type"
MEMORY_TAG: Final = "tag"
OPERATOR_TYPE: Final = "operator_type"
COMPONENT: Final = "component"
ACTION: Final = "action"
OUTCOME: Final = "outcome"
DUCKDB_VERSION: Final = "duckdb_version"
VERSION: Final = "version"
"""The version of this package."""

# Attributes of spans and of the semantic conventions' metrics; `contract/attributes.py` says what each means.
DB_SYSTEM_NAME: Final = "db.system.name"
DB_NAMESPACE: Final = "db.namespace"
DB_COLLECTION_NAME: Final = "db.collection.name"
DB_OPERATION_NAME: Final = "db.operation.name"
DB_OPERATION_BATCH_SIZE: Final = "db.operation.batch.size"
DB_QUERY_SUMMARY: Final = "db.query.summary"
DB_QUERY_TEXT: Final = "db.query.text"
DB_QUERY_PARAMETER: Final = "db.query.parameter"
DB_RESPONSE_RETURNED_ROWS: Final = "db.response.returned_rows"
DB_POOL_NAME: Final = "db.client.connection.pool.name"
DB_CONNECTION_STATE: Final = "db.client.connection.state"
ERROR_TYPE: Final = "error.type"
CODE_FILE_PATH: Final = "code.file.path"
CODE_LINE_NUMBER: Final = "code.line.number"
CODE_FUNCTION_NAME: Final = "code.function.name"
CPU_MODE: Final = "cpu.mode"

DUCKDB_QUERY_TYPE: Final = "duckdb.query.type"
DUCKDB_COMMENT: Final = "duckdb.comment"
DUCKDB_AFFECTED_ROWS: Final = "duckdb.affected_rows"
DUCKDB_EXECUTE_TIME: Final = "duckdb.execute_time_ms"
DUCKDB_FETCH_TIME: Final = "duckdb.fetch_time_ms"
DUCKDB_FETCH_SAMPLED: Final = "duckdb.fetch_time_sampled"

DUCKDB_NO_TRANSACTION: Final = "duckdb.no_transaction"

# What DuckDB's profile says of an operation (DuckDB 1.5 and later; times are thread time added up over all threads).
DUCKDB_CPU_TIME: Final = "duckdb.profile.cpu_time_ms"
DUCKDB_BLOCKED_TIME: Final = "duckdb.profile.blocked_thread_time_ms"
DUCKDB_PLANNING_TIME: Final = "duckdb.profile.planning_time_ms"
DUCKDB_OPTIMIZING_TIME: Final = "duckdb.profile.optimizing_time_ms"
DUCKDB_ROWS_SCANNED: Final = "duckdb.profile.rows_scanned"
DUCKDB_ROW_GROUPS_SCANNED: Final = "duckdb.profile.row_groups_scanned"
DUCKDB_BYTES_READ: Final = "duckdb.profile.bytes_read"
DUCKDB_BYTES_WRITTEN: Final = "duckdb.profile.bytes_written"
DUCKDB_PEAK_MEMORY: Final = "duckdb.profile.peak_buffer_memory_bytes"
DUCKDB_PEAK_TEMPORARY: Final = "duckdb.profile.peak_temporary_bytes"
DUCKDB_RESULT_ROWS: Final = "duckdb.profile.result_rows"

DUCKDB_PROFILE_PARTIAL: Final = "duckdb.profile.partial"

EVENT_PLAN: Final = "duckdb.query_plan"
DUCKDB_PLAN: Final = "duckdb.plan"
EVENT_NAME: Final = "event.name"
EVENT_SLOW_QUERY: Final = "duckdb.slow_query"
EVENT_REPEATED_QUERY: Final = "duckdb.repeated_query"
DUCKDB_DURATION: Final = "duckdb.duration_ms"
DUCKDB_REPEATED_COUNT: Final = "duckdb.repeated.count"
DUCKDB_REPEATED_SUMMARY: Final = "duckdb.repeated.summary"
DUCKDB_REPEATED_TIME: Final = "duckdb.repeated.total_time_ms"

# The sync of a DuckDB buffer to ClickHouse.
SPAN_SYNC: Final = "duckdb.sync"
SPAN_SYNC_BATCH: Final = "duckdb.sync.batch"
EVENT_SYNC_RETRY: Final = "duckdb.sync.retry"
SYNC_ATTEMPT: Final = "duckdb.sync.attempt"
SYNC_RETRY_DELAY: Final = "duckdb.sync.retry_delay_ms"
SYNC_BATCH_TOKEN: Final = "duckdb.sync.batch.token"  # noqa: S105 - the name of an attribute, no secret
SYNC_ROWS: Final = "duckdb.sync.rows"
SYNC_BYTES: Final = "duckdb.sync.bytes"
SYNC_TARGET: Final = "duckdb.sync.target"

LATENCY_MS_BUCKETS: Final = (
    *(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500),
    *(1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000),
)
TABLE_LATENCY_MS_BUCKETS: Final = (100, 1_000)
"""Bounds of the latencies by table, in milliseconds; each costs a series for each table and statement."""
DURATION_SECONDS_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
"""As the semantic conventions advise for `db.client.operation.duration`."""
ROWS_BUCKETS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
"""As the semantic conventions advise for `db.client.response.returned_rows`."""

_ENGINE = (INSTANCE_ID, DATABASE)
_SYNC = (INSTANCE_ID, DATABASE, TABLE_NAME)
_OPERATION_OPTIONAL = (DB_NAMESPACE, DB_QUERY_SUMMARY, DB_OPERATION_NAME, DB_COLLECTION_NAME, ERROR_TYPE)
_ROWS_OPTIONAL = (DB_NAMESPACE, DB_QUERY_SUMMARY, ERROR_TYPE)
_POOL = (DB_POOL_NAME,)


def _latency(statement: str) -> Metric:
    return Metric(
        f"duckdb_{statement}_latency_ms",
        Kind.HISTOGRAM,
        "ms",
        f"Time spent inside DuckDB by one {statement.upper()}: its call and its fetches.",
        (TABLE_NAME,),
        TABLE_LATENCY_MS_BUCKETS,
    )


def _per_second(statement: str) -> Metric:
    return Metric(
        f"duckdb_{statement}_queries_per_sec",
        Kind.OBSERVABLE_GAUGE,
        "{query}/s",
        f"{statement.upper()} statements finished per second, on average over the last minute.",
        (TABLE_NAME,),
    )


def _gauge(
    name: str, unit: str, description: str, labels: tuple[str, ...] = _ENGINE, optional: tuple[str, ...] = ()
) -> Metric:
    return Metric(name, Kind.OBSERVABLE_GAUGE, unit, description, labels, optional=optional)


def _counter(name: str, unit: str, description: str, labels: tuple[str, ...], optional: tuple[str, ...] = ()) -> Metric:
    return Metric(name, Kind.COUNTER, unit, description, labels, optional=optional)


def _pool_time(name: str, description: str) -> Metric:
    return Metric(name, Kind.HISTOGRAM, "s", description, _POOL, DURATION_SECONDS_BUCKETS)


# Queries.
OPERATION_DURATION: Final = Metric(
    "db.client.operation.duration",
    Kind.HISTOGRAM,
    "s",
    "Duration of database client operations: time spent inside DuckDB, without the caller's time between fetches.",
    (DB_SYSTEM_NAME, *_OPERATION_OPTIONAL),
    DURATION_SECONDS_BUCKETS,
    _OPERATION_OPTIONAL,
)
RETURNED_ROWS: Final = Metric(
    "db.client.response.returned_rows",
    Kind.HISTOGRAM,
    "{row}",
    "Rows that the caller fetched from one operation.",
    (DB_SYSTEM_NAME, *_ROWS_OPTIONAL),
    ROWS_BUCKETS,
    _ROWS_OPTIONAL,
)
QUERY_LATENCY: Final = Metric(
    "duckdb_query_latency_ms",
    Kind.HISTOGRAM,
    "ms",
    "Time spent inside DuckDB by one operation: its call and its fetches.",
    (QUERY_TYPE,),
    LATENCY_MS_BUCKETS,
)
SELECT_LATENCY: Final = _latency("select")
INSERT_LATENCY: Final = _latency("insert")
UPDATE_LATENCY: Final = _latency("update")
DELETE_LATENCY: Final = _latency("delete")
QUERIES_PER_SECOND: Final = _gauge(
    "duckdb_queries_per_sec",
    "{query}/s",
    "Operations finished per second, on average over the last minute.",
    (QUERY_TYPE,),
)
SELECT_PER_SECOND: Final = _per_second("select")
INSERT_PER_SECOND: Final = _per_second("insert")
UPDATE_PER_SECOND: Final = _per_second("update")
DELETE_PER_SECOND: Final = _per_second("delete")
ACTIVE_QUERIES: Final = _gauge(
    "duckdb_active_queries", "{query}", "Operations DuckDB is working on at this moment.", optional=(DATABASE,)
)
OLDEST_QUERY: Final = _gauge(
    "duckdb_oldest_query_seconds",
    "s",
    "For how long DuckDB has been at work on the oldest call that has not returned; 0 where it rests.",
    optional=(DATABASE,),
)

# The engine.
MEMORY_USED: Final = _gauge("duckdb_memory_used_bytes", "By", "Memory DuckDB's buffer manager holds.")
MEMORY_LIMIT: Final = _gauge(
    "duckdb_memory_limit_bytes", "By", "DuckDB's memory_limit, as exact as DuckDB tells it: one decimal, rounded down."
)
MEMORY_FRAGMENTATION: Final = _gauge(
    "duckdb_memory_fragmentation_ratio",
    "1",
    "Resident memory of the process divided by the memory DuckDB uses, as Redis defines its ratio.",
    (INSTANCE_ID,),
)
MEMORY_BY_TAG: Final = _gauge(
    "duckdb_memory_tag_bytes", "By", "Memory DuckDB's buffer manager holds, by what it is for.", (*_ENGINE, MEMORY_TAG)
)
DISK_USAGE: Final = _gauge("duckdb_disk_usage_bytes", "By", "Database file, write-ahead log and temporary files.")
MAX_DISK_USAGE: Final = _gauge(
    "duckdb_max_disk_usage_bytes", "By", "The configured limit, else the usage plus what its file system has free."
)
DISK_FRAGMENTATION: Final = _gauge(
    "duckdb_disk_fragmentation_ratio", "1", "Total blocks of the database file divided by its used blocks."
)
WAL_SIZE: Final = _gauge("duckdb_wal_size_bytes", "By", "Size of the write-ahead log.")
TEMPORARY_FILES: Final = _gauge("duckdb_temporary_files_bytes", "By", "Size of the temporary files on disk.")
TEMPORARY_STORAGE: Final = _gauge(
    "duckdb_temporary_storage_bytes", "By", "Data that DuckDB's buffer manager has spilled to temporary storage."
)

# Connections and pools.
ACTIVE_CONNECTIONS: Final = _gauge(
    "duckdb_active_connections",
    "{connection}",
    "Open connections, with their cursors and duplicates.",
    optional=(DATABASE,),
)
FAILED_CONNECTIONS: Final = _counter(
    "duckdb_failed_connections",
    "{connection}",
    "Calls of duckdb.connect() that raised.",
    (INSTANCE_ID, ERROR_TYPE_LABEL),
)
POOL_CONNECTIONS: Final = Metric(
    "db.client.connection.count",
    Kind.OBSERVABLE_UP_DOWN_COUNTER,
    "{connection}",
    "Connections of a pool that are in the state the label names.",
    (*_POOL, DB_CONNECTION_STATE),
)
POOL_IDLE_MAX: Final = Metric(
    "db.client.connection.idle.max",
    Kind.OBSERVABLE_UP_DOWN_COUNTER,
    "{connection}",
    "The most idle connections a pool keeps.",
    _POOL,
)
POOL_MAX: Final = Metric(
    "db.client.connection.max",
    Kind.OBSERVABLE_UP_DOWN_COUNTER,
    "{connection}",
    "The most connections a pool may open.",
    _POOL,
)
POOL_PENDING: Final = Metric(
    "db.client.connection.pending_requests",
    Kind.OBSERVABLE_UP_DOWN_COUNTER,
    "{request}",
    "Requests that wait for a connection of a pool.",
    _POOL,
)
POOL_TIMEOUTS: Final = _counter(
    "db.client.connection.timeouts", "{timeout}", "Requests for a connection of a pool that timed out.", _POOL
)
POOL_CREATE_TIME: Final = _pool_time("db.client.connection.create_time", "Time it took to open a connection of a pool.")
POOL_WAIT_TIME: Final = _pool_time(
    "db.client.connection.wait_time", "Time a request waited for a connection of a pool."
)
POOL_USE_TIME: Final = _pool_time(
    "db.client.connection.use_time", "Time between borrowing a connection of a pool and returning it."
)

# Transactions.
TRANSACTION_SUCCESS: Final = Metric(
    "duckdb_transaction_success_count",
    Kind.OBSERVABLE_COUNTER,
    "{transaction}",
    "Transactions that were committed; a change that commits by itself is one.",
    _ENGINE,
)
TRANSACTION_FAILURE: Final = Metric(
    "duckdb_transaction_failure_count",
    Kind.OBSERVABLE_COUNTER,
    "{transaction}",
    "Transactions that lost changes: by an error, a conflict, a rollback, or a connection that was closed.",
    _ENGINE,
)
TRANSACTION_LATENCY: Final = _gauge(
    "duckdb_transaction_latency_ms",
    "ms",
    "Average duration of the transactions that ended in the last minute, whatever their end.",
)

# Sync.
SYNC_SUCCESS: Final = _counter(
    "duckdb_sync_success_count", "{attempt}", "Sync attempts that succeeded.", _SYNC, (DATABASE,)
)
SYNC_FAILURE: Final = _counter(
    "duckdb_sync_failure_count", "{attempt}", "Sync attempts that failed.", _SYNC, (DATABASE,)
)
SYNC_RETRIES: Final = _counter(
    "duckdb_sync_retry_attempts", "{attempt}", "Sync attempts that were retries.", _SYNC, (DATABASE,)
)
SYNC_LATENCY: Final = _gauge(
    "duckdb_sync_latency_ms",
    "ms",
    "Average duration of the sync attempts in the last minute.",
    _SYNC,
    (DATABASE,),
)
SYNC_PENDING_ROWS: Final = _gauge(
    "duckdb_sync_pending_rows", "{row}", "Rows of the buffer that are not yet acknowledged.", _SYNC, (DATABASE,)
)
SYNC_LAG: Final = _gauge(
    "duckdb_sync_lag_seconds",
    "s",
    "Time since the buffer was last known to be wholly acknowledged.",
    _SYNC,
    (DATABASE,),
)
SYNC_ROWS_SENT: Final = _counter("duckdb_sync_rows", "{row}", "Rows acknowledged by the target.", _SYNC, (DATABASE,))
SYNC_BYTES_SENT: Final = _counter(
    "duckdb_sync_bytes", "By", "Arrow bytes acknowledged by the target.", _SYNC, (DATABASE,)
)

# Inside the query.
OPERATOR_TIME: Final = _counter(
    "duckdb_operator_thread_time_ms",
    "ms",
    "Thread time of the operators of profiled queries.",
    (INSTANCE_ID, OPERATOR_TYPE),
)
OPERATOR_ROWS: Final = _counter(
    "duckdb_operator_rows",
    "{row}",
    "Rows that the operators of profiled queries produced.",
    (INSTANCE_ID, OPERATOR_TYPE),
)
SPILLED_BYTES: Final = _counter(
    "duckdb_query_spilled_bytes",
    "By",
    "Peak temporary storage of the database during each profiled query, added up.",
    _ENGINE,
)

# The process, and ourselves.
PROCESS_CPU_TIME: Final = Metric(
    "process.cpu.time",
    Kind.OBSERVABLE_COUNTER,
    "s",
    "CPU time of the process.",
    (CPU_MODE,),
)
PROCESS_MEMORY: Final = Metric(
    "process.memory.usage", Kind.OBSERVABLE_UP_DOWN_COUNTER, "By", "Resident memory of the process."
)
PROCESS_UPTIME: Final = Metric("process.uptime", Kind.OBSERVABLE_GAUGE, "s", "Time the process has been running.")
RUNNING: Final = Metric(
    "otel_duckdb_running",
    Kind.OBSERVABLE_GAUGE,
    "1",
    "1 while the program is instrumented, 0 in its last report at an orderly end; the labels tell the versions.",
    (INSTANCE_ID, DUCKDB_VERSION, VERSION),
)
MONITOR_ACTIONS: Final = _counter(
    "otel_duckdb_monitor_actions",
    "{action}",
    "Actions that the monitor ran, or refused to run, on a database.",
    (ACTION, OUTCOME),
)
INTERNAL_ERRORS: Final = _counter(
    "otel_duckdb_internal_errors",
    "{error}",
    "Faults inside this package, its hooks or the exporters it calls; none of them reached the caller.",
    (COMPONENT,),
)

METRICS: Final[tuple[Metric, ...]] = tuple(value for value in tuple(globals().values()) if isinstance(value, Metric))
"""All of the above, in the order of definition."""
