"""The names and attributes that all operations of one text on one database have in common, made once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb import contract
from otel_duckdb.core.operation import Shape
from otel_duckdb.telemetry.cardinality import Limiter

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

    from otel_duckdb.core.operation import Operation
    from otel_duckdb.settings import Settings

_KEPT: Final = 1000


class Shapes:
    """Makes the shape of an operation, or finds the one made before."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._shapes: dict[tuple[str, str, str | None, bool], Shape] = {}
        self._tables = Limiter()
        self._summaries = Limiter()

    def find(self, operation: Operation) -> Shape:
        """Return the shape of `operation`."""
        key = (
            operation.text,
            operation.database,
            operation.name and f"{operation.name} {operation.collection}",
            operation.parameters is None,
        )
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) >= _KEPT or len(operation.text) > self._settings.query_text_limit * 4:
                self._shapes.clear()
            shape = self._shapes[key] = self._make(operation)
        return shape

    def _make(self, operation: Operation) -> Shape:
        statement = operation.statement
        common: dict[str, AttributeValue] = {contract.DB_SYSTEM_NAME: contract.SYSTEM}
        if operation.database:
            common[contract.DB_NAMESPACE] = operation.database
        if operation.name:
            common[contract.DB_OPERATION_NAME] = operation.name
        measured = dict(common)
        if operation.collection:
            common[contract.DB_COLLECTION_NAME] = operation.collection
            measured[contract.DB_COLLECTION_NAME] = self._tables(operation.collection)
        if statement.summary and not operation.name:
            common[contract.DB_QUERY_SUMMARY] = statement.summary
            measured[contract.DB_QUERY_SUMMARY] = self._summaries(statement.summary)
        text = self._text(operation)
        attributes = {**common, contract.DB_QUERY_TEXT: text} if text else common
        attributes = {**attributes, contract.DUCKDB_QUERY_TYPE: statement.kind}
        return Shape(
            _name(operation),
            attributes,
            measured,
            {contract.QUERY_TYPE: statement.kind},
            {contract.TABLE_NAME: self._tables(operation.collection or statement.table_name)},
        )

    def _text(self, operation: Operation) -> str:
        if operation.name:
            return ""
        statement = operation.statement
        shown = self._settings.raw_query_text or operation.parameters is not None
        text = statement.safe if shown else statement.redacted
        limit = self._settings.query_text_limit
        return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…" * min(limit, 1)


def _name(operation: Operation) -> str:
    if operation.name:
        return f"{operation.name} {operation.collection}" if operation.collection else operation.name
    return operation.statement.summary or contract.SYSTEM
