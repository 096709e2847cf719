"""What to sync, from where to where: dataclasses for Python, and the TOML file of `otel-duckdb sync`."""

from __future__ import annotations

import ipaddress
import logging
import math
import os
import re
import stat
import tomllib
from collections import Counter
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from otel_duckdb.files import read_text
from otel_duckdb.sync.errors import SyncConfigError
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
_HOST: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.%\w]*\]?")
_SETTING: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OWN_SETTINGS: Final = frozenset(
    {
        *("async_insert", "wait_for_async_insert", "insert_deduplicate", "insert_deduplication_token"),
        *("max_insert_block_size", "min_insert_block_size_rows", "min_insert_block_size_bytes", "max_insert_threads"),
        *("input_format_parallel_parsing", "date_time_overflow_behavior"),
        *("limit", "offset", "final", "additional_table_filters", "additional_result_filter"),
    }
)
"""Settings that the sync gives itself, or under which its counts would be those of some rows."""
_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]*")
_QUOTED: Final = re.compile(r"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_READ_BY_OTHERS: Final = stat.S_IRGRP | stat.S_IROTH
_logger = logging.getLogger(__name__)


def _option(
    kind: type,
    allowed: str,
    default: Any = MISSING,
    check: Callable[[Any], bool] = lambda _: True,
    *,
    secret: bool = False,
) -> Any:
    """A field of a configuration; a `secret` one is shown nowhere."""
    metadata = {"kind": kind, "allowed": allowed, "check": check, "secret": secret}
    if default is MISSING:
        return field(metadata=metadata)
    if isinstance(default, (dict, list)):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata, repr=not secret)


def _positive(value: float) -> bool:
    return 0 < value < math.inf


def _not_negative(value: float) -> bool:
    return 0 <= value < math.inf


def _settings(value: dict[str, Any]) -> bool:
    return all(_SETTING.fullmatch(name) and isinstance(one, (str, int, float)) for name, one in value.items())


def _texts(value: Any) -> bool:
    return all(isinstance(item, str) and item for item in value)


_APPEND_ONLY: Final = ("order_by", "delete", "keep_rows", "limit_rows", "when_full", "shared")
"""The options of tables without a key."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table of the buffer, and what becomes of it.

    Without `key` it is append-only: each row is stored exactly once. With `key`, rows with the same key replace each
    other in the target (ReplacingMergeTree), and a deleted row is marked there.
    """

    name: str = _option(str, "a table's name, as in 'ticks' or 'main.ticks'", check=bool)
    target: str | None = _option(str, "a table's name in ClickHouse", None, bool)
    key: list[str] = _option(list, "a list of column names", [], _texts)
    order_by: list[str] = _option(list, "a list of column names", [], _texts)
    partition_by: str | None = _option(str, "a ClickHouse expression", None, bool)
    engine: str | None = _option(str, "a ClickHouse engine, as in ReplicatedMergeTree", None, bool)
    delete: bool = _option(bool, "true or false", False)
    keep_rows: int = _option(int, "a whole number from 0", 0, _not_negative)
    limit_rows: int | None = _option(int, "a whole number from 1", None, _positive)
    when_full: str | None = _option(str, "'keep' or 'drop_oldest'", None, {"keep", "drop_oldest"}.__contains__)
    """'keep', where it is left out, only tells that the buffer is full."""
    expires: bool = _option(bool, "true or false", False)
    """Rows may leave the target by design, by a TTL or DROP PARTITION, so that nobody minds when some are missing."""
    shared: bool = _option(bool, "true or false", False)
    """Other buffers fill the same target table as well."""

    def __post_init__(self) -> None:
        """Check the values, and that they mean something together.

        Raises:
            SyncConfigError: they are not allowed.
        """
        _check(self, "tables")
        given = [name for name in _APPEND_ONLY if getattr(self, name)]
        if self.key and given:
            raise SyncConfigError(
                f"tables: {self.name} has a key, so {' and '.join(f'`{name}`' for name in given)} "
                f"{'does' if len(given) == 1 else 'do'} not apply; remove {'it' if len(given) == 1 else 'them'}, or "
                "the key"
            )
        for name, needed in (("keep_rows", "delete"), ("when_full", "limit_rows")):
            if getattr(self, name) and not getattr(self, needed):
                raise SyncConfigError(f"tables: {self.name} has `{name}` without `{needed}`; give both, or neither")
        if self.limit_rows is not None and self.keep_rows >= self.limit_rows:
            raise SyncConfigError(
                f"tables: {self.name} keeps {self.keep_rows} rows, and is full at {self.limit_rows}; give fewer "
                "`keep_rows`, or more `limit_rows`"
            )
        for name in ("engine", "partition_by"):
            if ";" in _QUOTED.sub("", getattr(self, name) or ""):
                raise SyncConfigError(f"tables: {self.name} has `{name}` with a semicolon; give one expression")

    @property
    def target_name(self) -> str:
        """The table's name in ClickHouse: as given, else that of the DuckDB table without its schema."""
        return self.target or self.name.rsplit(".", 1)[-1]


_OF_A_SERVER: Final = ("port", "username", "password", "password_environment", "secure", "cluster")


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where rows go: a ClickHouse server, or, without `host`, the embedded chDB at `path`."""

    host: str | None = _option(str, "a host name", None, bool)
    port: int | None = _option(int, "a port from 1 to 65535", None, range(1, 65536).__contains__)
    username: str | None = _option(str, "a user name", None)
    password: str | None = _option(str, "a text", None, secret=True)
    password_environment: str | None = _option(str, "the name of an environment variable", None, bool, secret=True)
    database: str = _option(str, "a database's name", "default", bool)
    cluster: str | None = _option(str, "a cluster's name", None, bool)
    """Tables are made, and widened, ON CLUSTER."""
    secure: bool = _option(bool, "true or false", False)
    timeout: float = _option(float, "seconds above 0", 60.0, _positive)
    """Seconds that one call may take in whole: connecting, sending, and the answer."""
    path: str | None = _option(str, "a folder for chDB", None, bool)
    settings: dict[str, Any] = _option(dict, "a table of ClickHouse settings, each a text or a number", {}, _settings)

    def __post_init__(self) -> None:
        """Check the values; a `user:password@` before the host's name is taken apart.

        Raises:
            SyncConfigError: a value is not allowed, or two do not go together.
        """
        _check(self, "target")
        if own := _OWN_SETTINGS.intersection(self.settings):
            raise SyncConfigError(
                f"target.settings has {min(own)}, which the sync sets itself to keep each row once; remove it"
            )
        if self.host is not None:
            self._take_apart(self.host)
        elif named := [name for name in _OF_A_SERVER if getattr(self, name)]:
            raise SyncConfigError(f"target.{named[0]} is given without target.host; the embedded chDB has none")
        if self.host is not None and self.path is not None:
            raise SyncConfigError("target.host and target.path are both given; give a server, or a folder for chDB")
        if self.password is not None and self.password_environment is not None:
            raise SyncConfigError("target.password and target.password_environment are both given; give one")

    def _take_apart(self, host: str) -> None:
        login, at, name = host.rpartition("@")
        if at:
            username, colon, password = login.partition(":")
            for option, value in (("username", username), ("password", password if colon else None)):
                if value is not None and getattr(self, option) is not None:
                    raise SyncConfigError(f"target.{option} is given twice: by itself, and within target.host")
                object.__setattr__(self, option, value)
            object.__setattr__(self, "host", name)
        if "://" in host or not _HOST.fullmatch(name):
            raise SyncConfigError(
                "target.host is no host name; allowed is a name or an address, without a scheme, a port or a path "
                "(they are target.secure and target.port)"
            )

    def secret(self) -> str:
        """The password, as given or as the named environment variable holds it.

        Raises:
            SyncConfigError: the environment variable is not set.
        """
        if self.password_environment is None:
            return self.password or ""
        try:
            return os.environ[self.password_environment]
        except KeyError:
            name = self.password_environment  # somebody may have put the password itself here
            shown = name if _VARIABLE.fullmatch(name) else "a variable (its name, not shown, has small letters)"
            raise SyncConfigError(
                f"target.password_environment names {shown}, which is not set in the environment"
            ) from None

    @property
    def exposes_password(self) -> bool:
        """Whether a password would go to another host without TLS."""
        return bool(self.host and (self.password or self.password_environment)) and not (
            self.secure or _is_this_machine(self.host or "")
        )


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The largest batch: one batch is one insert, and is held in memory twice at most."""

    rows: int = _option(int, "a whole number from 1", 250_000, _positive)
    bytes: int = _option(int, "a whole number from 1", 64 * 1024 * 1024, _positive)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            SyncConfigError: a value is not allowed.
        """
        _check(self, "batch")


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How long a transient fault is borne; delays are seconds, double each time, and vary at random."""

    attempts: int = _option(int, "a whole number from 1", 10, _positive)
    seconds: float = _option(float, "seconds above 0", 300.0, _positive)
    initial_delay: float = _option(float, "seconds from 0", 0.2, _not_negative)
    max_delay: float = _option(float, "seconds from 0", 30.0, _not_negative)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            SyncConfigError: a value is not allowed.
        """
        _check(self, "retry")


@dataclass(frozen=True, kw_only=True)
class Config:
    """A whole sync: the DuckDB database, its tables, the target, and the limits."""

    database: str = _option(str, "a path of a DuckDB database", check=bool)
    tables: list[Table] = _option(list, "one [[tables]] or more", check=bool)
    target: Target = field(default_factory=Target)
    batch: Limits = field(default_factory=Limits)
    retry: Retry = field(default_factory=Retry)
    interval: float = _option(float, "seconds above 0", 5.0, _positive)
    parallel_tables: int = _option(int, "a whole number from 1", 4, _positive)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            SyncConfigError: a value is not allowed, or two tables have one name or one target.
        """
        _check(self, "")
        for name, times in Counter(table.name.lower() for table in self.tables).items():
            if times > 1:
                raise SyncConfigError(f"tables: {name!r} is named twice; give each table once, and its own target")
        for name, times in Counter(table.target_name for table in self.tables).items():
            if times > 1:
                raise SyncConfigError(
                    f"tables: {times} of them would fill the target {name!r}; give each a `target` of its own"
                )


def _check(options: Any, section: str) -> None:
    for option in fields(options):
        if option.metadata:
            value = getattr(options, option.name)
            if value is not None or option.default is not None:
                object.__setattr__(options, option.name, _value(option, value, section))


def _value(option: Any, value: Any, section: str) -> Any:
    kind, allowed = option.metadata["kind"], option.metadata["allowed"]
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind or not option.metadata["check"](value):
        key = f"{section}.{option.name}" if section else option.name
        shown = "not what it must be" if option.metadata["secret"] else repr(value)
        raise SyncConfigError(f"{key} is {shown}; allowed is {allowed}")
    return value


def _section(kind: type[T], values: Any, section: str) -> T:
    if not isinstance(values, dict):
        raise SyncConfigError(f"{section} is a {type(values).__name__}; allowed is a table of keys")
    names = {option.name: option for option in fields(kind)}  # type: ignore[arg-type]  # only called with dataclasses
    for key in values:
        if key not in names:
            raise SyncConfigError(f"unknown key {section}.{key}; known are {', '.join(names)}".replace(" .", " "))
    for name, option in names.items():
        if option.default is MISSING and option.default_factory is MISSING and name not in values:
            raise SyncConfigError(f"{section}.{name} is missing; give {option.metadata['allowed']}".lstrip("."))
    return kind(**values)


def parse(document: Mapping[str, Any], folder: Path | None = None) -> Config:
    """Build the configuration from a parsed TOML document; paths are taken relative to `folder`.

    Raises:
        SyncConfigError: a key is unknown, missing or has a value that is not allowed.
    """
    values = dict(document)
    for key, kind in (("target", Target), ("batch", Limits), ("retry", Retry)):
        if key in values:
            values[key] = _section(kind, values[key], key)
    tables = values.get("tables")
    if isinstance(tables, list):
        values["tables"] = [_section(Table, table, "tables") for table in tables]
    if folder and isinstance(values.get("database"), str) and values["database"] not in ("", ":memory:"):
        values["database"] = str(folder / values["database"])
    if folder and "target" in values and values["target"].path:
        values["target"] = replace(values["target"], path=str(folder / values["target"].path))
    return _section(Config, values, "")


def load(path: str | Path) -> Config:
    """Read the configuration from a TOML file.

    Raises:
        SyncConfigError: the file cannot be read or is no TOML, or a key is wrong.
    """
    path = Path(path)
    try:
        document = tomllib.loads(read_text(path).removeprefix("\ufeff"))
    except (OSError, ValueError, RecursionError) as error:  # tomllib lets numbers and nesting fail as Python does
        raise SyncConfigError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    try:
        config = parse(document, path.parent)
    except SyncConfigError as error:
        raise SyncConfigError(f"{path}: {error}") from None
    if config.target.password and os.name == "posix" and path.stat().st_mode & _READ_BY_OTHERS:
        _logger.warning(
            "%s holds a password, and others of this machine can read it: chmod 600 it, or use password_environment",
            printable(str(path)),
        )
    return config
