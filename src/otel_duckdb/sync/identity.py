"""Tells values apart byte for byte, as SQL: for what DuckDB's hash() is given, and for how keys are compared.

ClickHouse holds two values different as soon as their bytes are. DuckDB's `=` and hash() do not always: collations, the
session's `default_collation`, INTERVAL, -0.0, and a NULL beside an empty list are held equal, or share a hash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb.sync.types import Form, quoted_text

if TYPE_CHECKING:
    from otel_duckdb.sync.types import Kind

KEY_FORMS: Final = frozenset({Form.EXACT, Form.WIDE, Form.FLOAT, Form.TEXT})
"""What a key may be made of: ClickHouse sorts by no column that may be NULL inside."""


def hash_arguments(kind: Kind, value: str, depth: int = 0) -> str:
    """What hash() is to be given of an expression of a type, so that two different values have different hashes."""
    match kind.form:
        case Form.FLOAT:
            return f"{value}, signbit({value})"
        case Form.TEXT | Form.WIDE:
            return f"encode(CAST({value} AS VARCHAR))"
        case Form.LIST:
            return f"{value} IS NULL, len({value}), {_hashes(kind.children[0], value, depth)}"
        case Form.STRUCT:
            fields = (f"struct_extract({value}, {quoted_text(name)})" for name in kind.fields)
            parts = (hash_arguments(child, one, depth) for child, one in zip(kind.children, fields, strict=True))
            return ", ".join((f"{value} IS NULL", *parts))
        case Form.MAP:
            keys, values = kind.children
            return (
                f"{value} IS NULL, cardinality({value}), {_hashes(keys, f'map_keys({value})', depth)}, "
                f"{_hashes(values, f'map_values({value})', depth)}"
            )
    return value


def _hashes(kind: Kind, values: str, depth: int) -> str:
    """The list of the hashes of a list's values."""
    one = f"otel_duckdb_{depth}"
    return f"list_transform({values}, lambda {one}: hash({hash_arguments(kind, one, depth + 1)}))"
