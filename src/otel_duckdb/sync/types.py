"""DuckDB's types as ClickHouse's: each keeps every value, or is refused before a row is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.sync.errors import UnsupportedTypeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from duckdb import DuckDBPyConnection

# ClickHouse documents 1900-01-01 to 2299-12-31; beyond, servers clamp or wrap without a word.
_FIRST_DAY: Final = -25_567
_LAST_DAY: Final = 120_529
_FIRST_SECOND: Final = _FIRST_DAY * 86_400
_LAST_SECOND: Final = (_LAST_DAY + 1) * 86_400 - 1
_LAST_NANOSECOND: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Kind:
    """A type on its way: the DuckDB type it is cast to for the wire, the ClickHouse type, and the values it keeps.

    `low` and `high` bound the raw integers of dates and timestamps, both inclusive.
    """

    wire: str
    clickhouse: str
    low: int | None = None
    high: int | None = None
    children: tuple[Kind, ...] = ()

    @property
    def composite(self) -> bool:
        """Whether ClickHouse has no NULL for it: lists, structs and maps."""
        return bool(self.children)

    @property
    def nullable(self) -> str:
        """The ClickHouse type that also takes NULL, where there is one."""
        return self.clickhouse if self.composite else f"Nullable({self.clickhouse})"

    @property
    def guarded(self) -> bool:
        """Whether some values of the DuckDB type have no place in the ClickHouse type."""
        return self.low is not None or any(child.composite or child.guarded for child in self.children)


def _timestamp(wire: str, digits: int) -> Kind:
    unit = 10**digits
    high = min(_LAST_SECOND * unit + unit - 1, _LAST_NANOSECOND)
    return Kind(wire, f"DateTime64({digits}, 'UTC')", _FIRST_SECOND * unit, high)


_SCALARS: Final[dict[str, Kind]] = {
    "boolean": Kind("BOOLEAN", "Bool"),
    "tinyint": Kind("TINYINT", "Int8"),
    "smallint": Kind("SMALLINT", "Int16"),
    "integer": Kind("INTEGER", "Int32"),
    "bigint": Kind("BIGINT", "Int64"),
    "hugeint": Kind("VARCHAR", "Int128"),
    "utinyint": Kind("UTINYINT", "UInt8"),
    "usmallint": Kind("USMALLINT", "UInt16"),
    "uinteger": Kind("UINTEGER", "UInt32"),
    "ubigint": Kind("UBIGINT", "UInt64"),
    "uhugeint": Kind("VARCHAR", "UInt128"),
    "float": Kind("FLOAT", "Float32"),
    "double": Kind("DOUBLE", "Float64"),
    "varchar": Kind("VARCHAR", "String"),
    "blob": Kind("BLOB", "String"),
    "uuid": Kind("VARCHAR", "UUID"),
    "enum": Kind("VARCHAR", "String"),
    "date": Kind("DATE", "Date32", _FIRST_DAY, _LAST_DAY),
    "timestamp": _timestamp("TIMESTAMP", 6),
    "timestamp_s": _timestamp("TIMESTAMP_S", 0),
    "timestamp_ms": _timestamp("TIMESTAMP_MS", 3),
    "timestamp_ns": _timestamp("TIMESTAMP_NS", 9),
    "timestamp with time zone": _timestamp("TIMESTAMP WITH TIME ZONE", 6),
    # Text that DuckDB casts back to the same value; ClickHouse has no such type.
    "time with time zone": Kind("VARCHAR", "String"),
    "interval": Kind("VARCHAR", "String"),
    "bit": Kind("VARCHAR", "String"),
    "bignum": Kind("VARCHAR", "String"),
}
_TIMES: Final = {"time": Kind("TIME", "Time64(6)"), "time_ns": Kind("TIME_NS", "Time64(9)")}


def quoted(name: str) -> str:
    """A name as DuckDB's SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def backticked(name: str) -> str:
    """A name as ClickHouse's SQL writes it."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _array(kind: Any, times: bool) -> Kind:
    child = convert(kind.children[0][1], times)
    return Kind(f"{child.wire}[]", f"Array({child.nullable})", children=(child,))


def _struct(kind: Any, times: bool) -> Kind:
    names = [name for name, _ in kind.children]
    if not all(names):
        raise UnsupportedTypeError("a STRUCT without field names")
    children = tuple(convert(child, times) for _, child in kind.children)
    wire = ", ".join(f"{quoted(name)} {child.wire}" for name, child in zip(names, children, strict=True))
    fields = ", ".join(f"{backticked(name)} {child.nullable}" for name, child in zip(names, children, strict=True))
    return Kind(f"STRUCT({wire})", f"Tuple({fields})", children=children)


def _map(kind: Any, times: bool) -> Kind:
    key, value = (convert(child, times) for _, child in kind.children)
    if key.composite:
        raise UnsupportedTypeError(f"a MAP whose key is {key.wire}")
    return Kind(f"MAP({key.wire}, {value.wire})", f"Map({key.clickhouse}, {value.nullable})", children=(key, value))


_COMPOSITES: Final[dict[str, Callable[[Any, bool], Kind]]] = {
    "list": _array,
    "array": _array,
    "struct": _struct,
    "map": _map,
}


def convert(kind: Any, times: bool = True) -> Kind:
    """The way of a DuckDB type (`duckdb.typing.DuckDBPyType`); `times` tells whether the server has Time64.

    Raises:
        UnsupportedTypeError: ClickHouse has no type that keeps every value.
    """
    identity = kind.id
    if identity in _TIMES:
        return _TIMES[identity] if times else Kind("VARCHAR", "String")
    if identity == "decimal":
        width, scale = (number for _, number in kind.children)
        return Kind(f"DECIMAL({width}, {scale})", f"Decimal({width}, {scale})")
    if identity in _COMPOSITES:
        return _COMPOSITES[identity](kind, times)
    if identity not in _SCALARS:
        raise UnsupportedTypeError(f"{kind}, for which ClickHouse has no type that keeps every value")
    return _SCALARS[identity]


def of_name(cursor: DuckDBPyConnection, name: str, times: bool) -> Kind:
    """The way of a DuckDB type given by its SQL name.

    Raises:
        UnsupportedTypeError: ClickHouse has no type that keeps every value.
    """
    return _SCALARS["varchar"] if name == "JSON" else convert(cursor.sqltype(name), times)
