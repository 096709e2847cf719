"""The SQL by which a value takes the form in which it travels to ClickHouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb.sync.types import Form, quoted_text

if TYPE_CHECKING:
    from otel_duckdb.sync.types import Kind

_INTEGERS: Final = {"Int128": "HUGEINT", "UInt128": "UHUGEINT"}
"""By their names in ClickHouse those in DuckDB."""


def travelling(kind: Kind, value: str, depth: int = 0) -> str:
    """The expression of a value in the form in which it travels."""
    return f"CAST({_told(kind, value, depth)} AS {kind.wire})"


def _told(kind: Kind, value: str, depth: int) -> str:
    if not _has_integers(kind):
        return value
    match kind.form:
        case Form.LIST:
            return _each(kind.children[0], value, depth)
        case Form.STRUCT:
            fields = (
                f"{quoted_text(name)}: {travelling(child, f'struct_extract({value}, {quoted_text(name)})', depth)}"
                for name, child in zip(kind.fields, kind.children, strict=True)
            )
            return f"CASE WHEN {value} IS NOT NULL THEN {{{', '.join(fields)}}} END"
        case Form.MAP:
            keys, values = (_each(child, f"{part}({value})", depth) for child, part in _parts(kind))
            return f"CASE WHEN {value} IS NOT NULL THEN map({keys}, {values}) END"
    return _text(kind, value)


def _parts(kind: Kind) -> tuple[tuple[Kind, str], ...]:
    return tuple(zip(kind.children, ("map_keys", "map_values"), strict=True))


def _each(kind: Kind, values: str, depth: int) -> str:
    one = f"otel_duckdb_{depth}"
    return f"list_transform({values}, lambda {one}: {travelling(kind, one, depth + 1)})"


def _has_integers(kind: Kind) -> bool:
    return kind.clickhouse in _INTEGERS or any(map(_has_integers, kind.children))


def _text(kind: Kind, value: str) -> str:
    """The text of an integer of 128 bits, in any number of characters but 16.

    ClickHouse takes a column of Arrow whose texts all have 16 bytes for the integers themselves, and 1000000000000000
    for 64053151420411946063694043751862251569 (`readColumnWithBigNumberFromBinaryData` of its ArrowColumnToCHColumn).
    """
    integer = _INTEGERS[kind.clickhouse]

    def among(low: int, high: int) -> str:
        return f"WHEN {value} BETWEEN CAST({low} AS {integer}) AND CAST({high} AS {integer})"

    cases = f"{among(10**15, 10**16 - 1)} THEN '0' || CAST({value} AS VARCHAR)"
    if integer == "HUGEINT":
        cases += f" {among(1 - 10**15, -(10**14))} THEN '-0' || CAST(-{value} AS VARCHAR)"
    return f"CASE {cases} ELSE CAST({value} AS VARCHAR) END"
