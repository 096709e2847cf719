"""DuckDB's types as ClickHouse's: each keeps every value, or is refused before a row is sent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
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
_DIGITS_OF_64_BITS: Final = 18


class Form(Enum):
    """How two values of a DuckDB type are told apart byte for byte; DuckDB's own `=` and hash() are often coarser."""

    EXACT = auto()
    """Both `=` and hash() tell any two values apart."""
    WIDE = auto()
    """`=` does, but hash() gives one hash to numbers of 128 bits whose halves cancel out, such as 0 and -1."""
    FLOAT = auto()
    """0.0 and -0.0 are equal, to ClickHouse's sorting too, and have one hash; they are different values."""
    TEXT = auto()
    """`=` follows collations, or holds 30 days equal to a month; the text, as bytes, is what ClickHouse gets."""
    LIST = auto()
    STRUCT = auto()
    MAP = auto()


@dataclass(frozen=True, slots=True)
class Kind:
    """A type on its way: the DuckDB type it is cast to for the wire, the ClickHouse type, and the values it keeps.

    `low` and `high` bound the raw integers of dates and timestamps, both inclusive. `fields` are a STRUCT's names.
    """

    wire: str
    clickhouse: str
    low: int | None = None
    high: int | None = None
    children: tuple[Kind, ...] = ()
    form: Form = Form.EXACT
    fields: tuple[str, ...] = ()

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
    "hugeint": Kind("VARCHAR", "Int128", form=Form.WIDE),
    "utinyint": Kind("UTINYINT", "UInt8"),
    "usmallint": Kind("USMALLINT", "UInt16"),
    "uinteger": Kind("UINTEGER", "UInt32"),
    "ubigint": Kind("UBIGINT", "UInt64"),
    "uhugeint": Kind("VARCHAR", "UInt128", form=Form.WIDE),
    "float": Kind("FLOAT", "Float32", form=Form.FLOAT),
    "double": Kind("DOUBLE", "Float64", form=Form.FLOAT),
    "varchar": Kind("VARCHAR", "String", form=Form.TEXT),
    "blob": Kind("BLOB", "String"),
    "uuid": Kind("VARCHAR", "UUID", form=Form.WIDE),
    "enum": Kind("VARCHAR", "String", form=Form.TEXT),
    "date": Kind("DATE", "Date32", _FIRST_DAY, _LAST_DAY),
    "timestamp": _timestamp("TIMESTAMP", 6),
    "timestamp_s": _timestamp("TIMESTAMP_S", 0),
    "timestamp_ms": _timestamp("TIMESTAMP_MS", 3),
    "timestamp_ns": _timestamp("TIMESTAMP_NS", 9),
    "timestamp with time zone": _timestamp("TIMESTAMP WITH TIME ZONE", 6),
    # Text that DuckDB casts back to the same value; ClickHouse has no such type.
    "time with time zone": Kind("VARCHAR", "String", form=Form.TEXT),
    "interval": Kind("VARCHAR", "String", form=Form.TEXT),
    "bit": Kind("VARCHAR", "String", form=Form.TEXT),
    "bignum": Kind("VARCHAR", "String", form=Form.TEXT),
}
_TIMES: Final = {"time": Kind("TIME", "Time64(6)"), "time_ns": Kind("TIME_NS", "Time64(9)")}


def quoted(name: str) -> str:
    """A name as DuckDB's SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """A text as DuckDB's SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


_ESCAPES: Final = str.maketrans(
    {"\\": r"\\", "`": r"\`", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\0": r"\0"}
)
"""As ClickHouse itself writes names, so that types of ours and of its own are the same text."""


def backticked(name: str) -> str:
    """A name as ClickHouse's SQL writes it."""
    return "`" + name.translate(_ESCAPES) + "`"


def literal(text: str) -> str:
    """A text as ClickHouse's SQL writes it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _array(kind: Any, times: bool) -> Kind:
    child = convert(kind.children[0][1], times)
    return Kind(f"{child.wire}[]", f"Array({child.nullable})", children=(child,), form=Form.LIST)


def _struct(kind: Any, times: bool) -> Kind:
    names = [name for name, _ in kind.children]
    if not all(names):
        raise UnsupportedTypeError("a STRUCT without field names")
    if "null" in names:
        raise UnsupportedTypeError("a STRUCT with a field named 'null', a name that ClickHouse keeps for itself")
    children = tuple(convert(child, times) for _, child in kind.children)
    wire = ", ".join(f"{quoted(name)} {child.wire}" for name, child in zip(names, children, strict=True))
    fields = ", ".join(f"{backticked(name)} {child.nullable}" for name, child in zip(names, children, strict=True))
    return Kind(f"STRUCT({wire})", f"Tuple({fields})", children=children, form=Form.STRUCT, fields=tuple(names))


def _map(kind: Any, times: bool) -> Kind:
    key, value = (convert(child, times) for _, child in kind.children)
    if key.composite:
        raise UnsupportedTypeError(f"a MAP whose key is {key.wire}")
    return Kind(
        f"MAP({key.wire}, {value.wire})",
        f"Map({key.clickhouse}, {value.nullable})",
        children=(key, value),
        form=Form.MAP,
    )


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
        form = Form.WIDE if width > _DIGITS_OF_64_BITS else Form.EXACT
        return Kind(f"DECIMAL({width}, {scale})", f"Decimal({width}, {scale})", form=form)
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
