"""Every option: its name, its environment variable, its default and its meaning."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.features import SwitchError, check_needs, read_file, read_switches
from otel_duckdb.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


ALLOWED_HOSTS_VARIABLE: Final = "OTEL_DUCKDB_ALLOWED_HOSTS"
"""An option of the Prometheus endpoint, which is no part of the instrumentation."""


MONITOR_VARIABLES: Final = "OTEL_DUCKDB_MONITOR_"
"""What the variables of the monitor begin with, which looks for misspelt ones itself."""
QUERY_METRICS: Final = ("semconv", "rows", "duckdb", "tables")
"""Families of metrics of queries: durations and rows as the semantic conventions have them, latency and rate by query
type, the same by table."""
_LARGEST: Final = 2**63 - 1
"""The largest whole number that a metric can carry."""


class SettingError(ValueError):
    """An option has a value that is not allowed; the text names the option, the value and what is allowed."""


def _fail(name: str, value: object, allowed: str) -> SettingError:
    return SettingError(f"{name} is {shown(value)}; allowed is {allowed}")


def boolean(name: str, value: object) -> bool:
    """Read true or false from an option's value, or raise a `SettingError`."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in {"true", "1", "yes", "on"}:
        return True
    if word in {"false", "0", "no", "off"}:
        return False
    raise _fail(name, value, "true or false")


def number(low: float, high: float = float("inf"), unit: str = "") -> Callable[[str, object], float]:
    """Return what reads a number of that range from an option's value, or raises a `SettingError`."""
    allowed = f"a number{' of ' + unit if unit else ''} from {low:g}" + (
        "" if high == float("inf") else f" to {high:g}"
    )

    def parse(name: str, value: object) -> float:
        try:
            found = float(str(value))
        except ValueError:
            raise _fail(name, value, allowed) from None
        if not low <= found <= high:
            raise _fail(name, value, allowed)
        return found

    return parse


def whole(low: int, high: int | None = None) -> Callable[[str, object], int]:
    """Return what reads a whole number of that range from an option's value, or raises a `SettingError`."""
    allowed = f"a whole number from {low}" + ("" if high is None else f" to {high}")

    def parse(name: str, value: object) -> int:
        try:
            found = int(str(value))
        except ValueError:
            raise _fail(name, value, allowed) from None
        if not low <= found <= (_LARGEST if high is None else high):
            raise _fail(name, value, allowed)
        return found

    return parse


def choice(*choices: str) -> Callable[[str, object], str]:
    """Return what reads one of these words from an option's value, or raises a `SettingError`."""

    def parse(name: str, value: object) -> str:
        text = str(value).strip().lower()
        if text not in choices:
            raise _fail(name, value, " or ".join(choices))
        return text

    return parse


def text(name: str, value: object) -> str:
    """Read a text from an option's value."""
    del name
    return str(value)


def filled(name: str, value: object) -> str:
    """Read a text that is not empty from an option's value, or raise a `SettingError`."""
    found = str(value).strip()
    if not found or isinstance(value, bool) or not isinstance(value, str | int):
        raise _fail(name, value, "a text that is not empty")
    return found


def names(name: str, value: object) -> tuple[str, ...]:
    """Read names from an option's value, with commas between them or in a list, or raise a `SettingError`."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple | set | frozenset) or not all(isinstance(part, str) for part in parts):
        raise _fail(name, value, "names with commas between them, or none")
    read = tuple(part.strip() for part in parts if part.strip())
    if any(not _is_name(one) for one in read):
        raise _fail(name, value, "names of letters, digits, _, - and . with commas between them, or none")
    return () if read == ("none",) else read


def _families(name: str, value: object) -> tuple[str, ...]:
    allowed = f"names of {', '.join(QUERY_METRICS)} with commas between them, or none"
    try:
        kept = names(name, value)
    except SettingError:
        raise _fail(name, value, allowed) from None
    if not set(kept) <= set(QUERY_METRICS):
        raise _fail(name, value, allowed)
    return kept


_is_name: Final = re.compile(r"[\w.-]{1,64}").fullmatch


def _patterns(name: str, value: object) -> tuple[str, ...]:
    given = value.split(";") if isinstance(value, str) else value
    allowed = "regular expressions, separated by semicolons or in a list"
    if not isinstance(given, list | tuple) or not all(isinstance(pattern, str) for pattern in given):
        raise _fail(name, value, allowed)
    patterns = tuple(pattern.strip() for pattern in given)
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise _fail(name, value, f"{allowed} ({error})") from None
    return tuple(filter(None, patterns))


_UNITS: Final = {
    "": 1,
    "b": 1,
    **{unit + suffix: 1000**power for power, unit in enumerate("kmgt", 1) for suffix in ("", "b")},
    **{unit + "ib": 1024**power for power, unit in enumerate("kmgt", 1)},
}


def _bytes(name: str, value: object) -> int:
    text = str(value).strip().lower().replace(" ", "")
    digits = text.rstrip("bikmgt")
    try:
        size = int(float(digits) * _UNITS[text[len(digits) :]])
    except (KeyError, ValueError, OverflowError):
        size = -1
    if not 0 <= size <= _LARGEST:
        raise _fail(name, value, "a size such as 2GB, 512MiB or 1000000")
    return size


def switches(name: str, value: object) -> dict[str, bool]:
    """Read switches of features from an option's value, or raise a `SettingError`."""
    try:
        return read_switches(value)
    except SwitchError as error:
        raise SettingError(f"{name}: {error}") from None


def option(parse: Callable[[str, object], Any], default: Any, environment: str, meaning: str) -> Any:
    """Return the field of an option: what reads it, its default, its environment variable, its meaning."""
    return field(default=default, metadata={"parse": parse, "environment": environment, "meaning": meaning})


@dataclass(frozen=True)
class Settings:
    """The options of the instrumentation.

    Each comes from the keyword argument of the same name of `instrument()`, else from its environment variable, else
    from its default. The SDK's declarative file passes its values as keyword arguments.
    """

    metric_detail: str = option(
        choice("low", "high"),
        "low",
        "OTEL_DUCKDB_METRIC_DETAIL",
        "`high` splits `db.client.*` by database and statement and gives latencies by table all buckets: many series.",
    )
    query_metrics: tuple[str, ...] = option(
        _families,
        QUERY_METRICS,
        "OTEL_DUCKDB_QUERY_METRICS",
        "Metrics kept of each query, or `none`: `semconv` (`db.client.operation.duration`), `rows` "
        "(`db.client.response.returned_rows`), `duckdb` (latency, rate by query type), `tables` (the same by table).",
    )
    metric_tables: int = option(
        whole(0, 10_000),
        200,
        "OTEL_DUCKDB_METRIC_TABLES",
        "Most distinct values of `table_name`; all further tables are `_other`.",
    )
    metric_batch: int = option(
        whole(1, 1_000),
        1,
        "OTEL_DUCKDB_METRIC_BATCH",
        "Points of a histogram that are kept and recorded together, to spend less on each query; 1 keeps none.",
    )
    features: Mapping[str, bool] | None = option(
        switches,
        None,
        "OTEL_DUCKDB_FEATURES",
        "Switches: `monitoring,alerting=false`, or a mapping; see docs/monitor.md.",
    )
    features_file: str | None = option(
        text, None, "OTEL_DUCKDB_FEATURES_FILE", "A YAML or JSON file with switches of features."
    )
    monitor: bool = option(
        boolean, False, "OTEL_DUCKDB_MONITOR", "Run the monitor in this process; its options are in docs/monitor.md."
    )
    instance_id: str | None = option(
        filled,
        None,
        "OTEL_DUCKDB_INSTANCE_ID",
        "Label `instance_id` of the engine's metrics; else service.instance.id.",
    )
    capture_parameters: bool = option(
        boolean,
        False,
        "OTEL_DUCKDB_CAPTURE_PARAMETERS",
        "Record query parameters as `db.query.parameter.<key>`. They may hold personal data.",
    )
    raw_query_text: bool = option(
        boolean, False, "OTEL_DUCKDB_RAW_QUERY_TEXT", "Record the query text with its literals. Passwords stay hidden."
    )
    parameterized_query_text: bool = option(
        boolean,
        False,
        "OTEL_DUCKDB_PARAMETERIZED_QUERY_TEXT",
        "Record a text that has placeholders, and is given values for them, with its literals. Passwords stay hidden.",
    )
    comment_attributes: tuple[str, ...] = option(
        names,
        ("app", "node_id", "target_name", "profile_name", "framework", "controller", "action", "route"),
        "OTEL_DUCKDB_COMMENT_ATTRIBUTES",
        "Keys that dbt's and sqlcommenter's comments may put on a span, as `duckdb.comment.<key>`, or `none`.",
    )
    query_text_limit: int = option(
        whole(0), 4096, "OTEL_DUCKDB_QUERY_TEXT_LIMIT", "Characters of query text kept on a span; 0 keeps none."
    )
    min_duration_ms: float = option(
        number(0, unit="milliseconds"),
        0.0,
        "OTEL_DUCKDB_MIN_DURATION_MS",
        "Operations shorter than this leave no span, unless they fail; metrics count them all the same.",
    )
    require_parent: bool = option(boolean, False, "OTEL_DUCKDB_REQUIRE_PARENT", "Make spans only inside another span.")
    excluded_statements: tuple[str, ...] = option(
        _patterns,
        (),
        "OTEL_DUCKDB_EXCLUDED_STATEMENTS",
        "Regular expressions, separated by semicolons or in a list; a statement one of them matches is not recorded.",
    )
    engine_metrics: bool = option(
        boolean, True, "OTEL_DUCKDB_ENGINE_METRICS", "Observe memory, disk and connections of every live database."
    )
    profile: str = option(
        choice("off", "slow", "all"),
        "slow",
        "OTEL_DUCKDB_PROFILE",
        "Which operations DuckDB profiles: none, statements that were slow before, or all.",
    )
    slow_threshold_ms: float = option(
        number(0, unit="milliseconds"),
        1000.0,
        "OTEL_DUCKDB_SLOW_THRESHOLD_MS",
        "An operation that takes longer is slow: it is logged, and profiled when it comes again.",
    )
    repeated_threshold: int = option(
        whole(0),
        20,
        "OTEL_DUCKDB_REPEATED_THRESHOLD",
        "Executions of one statement under one parent span that are reported as an N+1 pattern; 0 reports none.",
    )
    max_disk_bytes: int | None = option(
        _bytes, None, "OTEL_DUCKDB_MAX_DISK_BYTES", "Limit reported as `duckdb_max_disk_usage_bytes`."
    )
    max_connections: int | None = option(
        whole(1), None, "DUCKDB_MAX_CONNECTIONS", "Limit reported as `db.client.connection.max`."
    )
    memory_limit: int | None = option(
        _bytes,
        None,
        "DUCKDB_MEMORY_LIMIT",
        "Limit reported as `duckdb_memory_limit_bytes`, where it is below DuckDB's own memory_limit.",
    )

    @classmethod
    def load(cls, options: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from `options`, then from the environment, then from the defaults.

        Raises:
            SettingError: an option is unknown or its value is not allowed.
        """
        values = read_options(cls, options or {}, environment)
        by = {"monitoring": ("monitor", True, False), "profiling": ("profile", None, "off")}
        return cls(**switched(values, by, {"analytics": True, "monitoring": values.get("monitor", False)}))

    @property
    def analytics(self) -> bool:
        """Whether DuckDB is to be instrumented at all."""
        return (self.features or {}).get("analytics", True)


def switched(
    values: dict[str, Any], by: Mapping[str, tuple[str, Any, Any]], otherwise: Mapping[str, bool]
) -> dict[str, Any]:
    """Return options with what the switches of features make of them, and all switches as `features`.

    Args:
        values: The options that were given, `features` and `features_file` among them.
        by: For a feature the option it switches, and that option's values for on (None leaves it) and for off.
        otherwise: The features that no switch names.

    Raises:
        SettingError: a feature is on and what it needs is off, or a switch contradicts its option.
    """
    try:
        given = {**(read_file(values["features_file"]) if values.get("features_file") else {})}
        given |= values.get("features") or {}
        check_needs(given, otherwise)
    except SwitchError as error:
        raise SettingError(str(error)) from None
    made = {**values, "features": given}
    for feature, (name, on, off) in by.items():
        if feature not in given:
            continue
        wanted, own = on if given[feature] else off, values.get(name)
        if own is not None and ((own == off) if given[feature] else (own != off)):
            words = "on" if given[feature] else "off"
            raise SettingError(f"the feature {feature} is {words}, and the option {name} is {own!r}; say one of them")
        if wanted is not None:
            made[name] = wanted
    return made


def read_options(
    of: type[Any], given: Mapping[str, Any], environment: Mapping[str, str] | None = None, whose: str = ""
) -> dict[str, Any]:
    """Return the values of a class' options that are given, or stand in the environment (`os.environ` if None).

    Raises:
        SettingError: an option is unknown or its value is not allowed.
    """
    environment = os.environ if environment is None else environment
    left, values = dict(given), {}
    for each in fields(of):
        variable = each.metadata["environment"]
        value, name = left.pop(each.name, None), each.name
        if value is None and environment.get(variable, "").strip():
            value, name = environment[variable], variable
        if value is not None:
            values[each.name] = each.metadata["parse"](name, value)
    if left:
        known = ", ".join(each.name for each in fields(of))
        raise SettingError(f"unknown option {min(left)!r}{whose}; known are {known}")
    return values


def misspelt_variables(environment: Mapping[str, str] | None = None) -> list[str]:
    """Return one sentence for each environment variable that looks like an option's and is none."""
    known = [ALLOWED_HOSTS_VARIABLE, *(each.metadata["environment"] for each in fields(Settings))]
    variables = os.environ if environment is None else environment
    return misspelt(known, (name for name in variables if not name.startswith(MONITOR_VARIABLES)), "OTEL_DU")


def misspelt(known: list[str], variables: Iterable[str], prefix: str) -> list[str]:
    """Return one sentence for each of the variables that has the prefix and is not `known`."""
    return [
        f"the environment variable {name} is no option; {_nearest(name, known)}"
        for name in sorted(variables)
        if name.upper().startswith(prefix) and name not in known
    ]


def _nearest(name: str, known: list[str]) -> str:
    import difflib  # noqa: PLC0415 - a start without a misspelt variable goes without it

    nearest = difflib.get_close_matches(name.upper(), known, 1)
    return f"the nearest is {nearest[0]}" if nearest else f"known are {', '.join(sorted(known))}"
