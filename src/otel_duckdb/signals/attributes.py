"""The names and attributes that all operations of one text on one database have in common, made once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb import contract
from otel_duckdb.core.operation import OperationAttributes
from otel_duckdb.telemetry.cardinality import CardinalityLimit

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

    from otel_duckdb.core.operation import Operation
    from otel_duckdb.settings import Settings

_KEPT: Final = 1000


class AttributeCache:
    """Makes the attributes of an operation, or finds the one made before."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._attributes: dict[tuple[str, str, str | None, bool], OperationAttributes] = {}
        self._tables = CardinalityLimit()
        self._summaries = CardinalityLimit()

    def find(self, operation: Operation) -> OperationAttributes:
        """Return the attributes of `operation`."""
        key = (
            operation.text,
            operation.database,
            operation.name and f"{operation.name} {operation.collection}",
            operation.parameters is None,
        )
        attributes = self._attributes.get(key)
        if attributes is None:
            if len(self._attributes) >= _KEPT or len(operation.text) > self._settings.query_text_limit * 4:
                self._attributes.clear()
            attributes = self._attributes[key] = self._make(operation)
        return attributes

    def _make(self, operation: Operation) -> OperationAttributes:
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
        return OperationAttributes(
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
