"""The names and attributes that all operations of one text on one database have in common, made once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb import contract
from otel_duckdb.core.listener import Listener
from otel_duckdb.core.operation import OperationAttributes
from otel_duckdb.statement import BATCH, SUMMARY_LIMIT
from otel_duckdb.statement.text import bounded
from otel_duckdb.telemetry.cardinality import CardinalityLimit
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue

    from otel_duckdb.core.operation import Operation
    from otel_duckdb.settings import Settings
    from otel_duckdb.statement import Statement

_KEPT: Final = 1000


class AttributeCache(Listener):
    """Makes the attributes of an operation, or finds the one made before."""

    component = "attributes"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keeps_parameterized = settings.parameterized_query_text
        self._attributes: dict[tuple[str, str, str | None, bool, bool], OperationAttributes] = {}
        self._tables = CardinalityLimit(settings.metric_tables)
        self._detailed = settings.metric_detail == "high"
        self._summaries = CardinalityLimit()
        self._namespaces = CardinalityLimit()

    def started(self, operation: Operation, _context: Context) -> None:
        """Give the operation its attributes."""
        connection = operation.connection
        key = (
            operation.text,
            "" if connection is None else connection.namespace,
            operation.name and f"{operation.name} {operation.collection}",
            self._keeps_parameterized and operation.has_values,
            operation.is_batch and operation.batch_size != 1,
        )
        attributes = self._attributes.get(key)
        if attributes is None:
            if len(self._attributes) >= _KEPT or len(operation.text) > self._settings.query_text_limit * 4:
                self._attributes.clear()
            attributes = self._attributes[key] = self._make(operation)
        operation.attributes = attributes

    def _make(self, operation: Operation) -> OperationAttributes:
        statement = operation.statement
        common: dict[str, AttributeValue] = {contract.DB_SYSTEM_NAME: contract.SYSTEM}
        if operation.database:
            common[contract.DB_NAMESPACE] = bounded(operation.database, contract.NAME_LENGTH_LIMIT)
        if operation.name:
            common[contract.DB_OPERATION_NAME] = operation.name
        measured = dict(common)
        namespace = self._namespaces(str(common.get(contract.DB_NAMESPACE, contract.OTHER)))
        if not self._detailed:
            measured.pop(contract.DB_NAMESPACE, None)
        elif contract.DB_NAMESPACE in measured:
            measured[contract.DB_NAMESPACE] = namespace
        if operation.collection:
            collection = common[contract.DB_COLLECTION_NAME] = bounded(operation.collection, contract.NAME_LENGTH_LIMIT)
            if self._detailed:
                measured[contract.DB_COLLECTION_NAME] = self._tables(collection)
        summary = "" if operation.name else encodable(_summary(operation))
        if summary:
            common[contract.DB_QUERY_SUMMARY] = summary
            if self._detailed:
                measured[contract.DB_QUERY_SUMMARY] = self._summaries(summary)
        if statement.count > 1:
            common[contract.DB_OPERATION_BATCH_SIZE] = statement.count
        text = encodable(self._text(operation))
        attributes = {**common, contract.DB_QUERY_TEXT: text} if text else common
        attributes = {**attributes, contract.DUCKDB_QUERY_TYPE: statement.kind, **self._comment(statement)}
        table = self._tables(
            bounded(operation.collection or "", contract.NAME_LENGTH_LIMIT) or encodable(statement.table_name)
        )
        return OperationAttributes(
            _name(operation, summary, namespace),
            attributes,
            measured,
            {contract.QUERY_TYPE: statement.kind},
            {contract.TABLE_NAME: table},
            (statement.kind, table),
        )

    def _comment(self, statement: Statement) -> dict[str, str]:
        said = statement.comment
        return {
            f"{contract.DUCKDB_COMMENT}.{key}": said[key] for key in self._settings.comment_attributes if key in said
        }

    def _text(self, operation: Operation) -> str:
        if operation.name:
            return ""
        statement = operation.statement
        keeps_literals = self._settings.raw_query_text or (
            self._settings.parameterized_query_text and statement.has_placeholders and operation.has_values
        )
        return bounded(statement.safe if keeps_literals else statement.redacted, self._settings.query_text_limit)


def _is_of_several(operation: Operation) -> bool:
    """Whether a call of `executemany` carries more than one set of parameters, as far as one can tell."""
    return operation.is_batch and operation.batch_size != 1


def _summary(operation: Operation) -> str:
    summary = operation.statement.summary
    if not _is_of_several(operation) or summary.startswith(BATCH):
        return summary
    return bounded(f"{BATCH} {summary}".rstrip(), SUMMARY_LIMIT)


def _name(operation: Operation, summary: str, namespace: str) -> str:
    """The span's name: the summary, else the operation and its target, as the semantic conventions say."""
    if not operation.name:
        return summary or contract.SYSTEM
    target = operation.collection
    if target is None and operation.statement.kind == "CONNECT":
        target = namespace
    return operation.name if target in (None, contract.OTHER) else bounded(f"{operation.name} {target}", SUMMARY_LIMIT)
