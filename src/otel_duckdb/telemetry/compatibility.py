"""What differs between the lines of OpenTelemetry's Python packages that are supported, from 1.30 on.

From 1.38 on `Logger.emit` takes keywords. Before, it took a record, and the SDK passed on only records of its own.
Until 1.34 a record had neither a context nor an event name.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import _logs
from opentelemetry.trace import get_current_span

from otel_duckdb import contract

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry._logs import Logger, SeverityNumber
    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue


def _takes(function: Any, parameter: str) -> bool:
    return parameter in inspect.signature(function).parameters


_EMIT_TAKES_KEYWORDS: Final = _takes(_logs.Logger.emit, "event_name")


def emit_log(
    logger: Logger,
    *,
    timestamp: int,
    context: Context,
    severity_number: SeverityNumber,
    body: str,
    attributes: Mapping[str, AttributeValue],
    event_name: str,
) -> None:
    """Emit one log record, on every supported line of OpenTelemetry.

    `timestamp` is in nanoseconds since 1970; the record belongs to the span of `context`. Where records have no event
    name, it is the attribute `event.name`.
    """
    values: dict[str, Any] = {
        "timestamp": timestamp,
        "severity_number": severity_number,
        "severity_text": severity_number.name,
        "body": body,
    }
    if _EMIT_TAKES_KEYWORDS:
        logger.emit(**values, context=context, attributes=attributes, event_name=event_name)
        return
    real = getattr(logger, "_logger", logger)  # a logger made before its provider was set stands for another
    resource = getattr(real, "resource", None)
    record: Any = _logs.LogRecord
    if resource is not None:  # a logger of the SDK
        from opentelemetry.sdk import _logs as sdk_logs  # noqa: PLC0415 - a program without an SDK does not get here

        record = vars(sdk_logs)["LogRecord"]
        values["resource"] = resource
    if _takes(record, "event_name"):
        values |= {"context": context, "attributes": attributes, "event_name": event_name}
    else:
        span = get_current_span(context).get_span_context()
        values |= {"trace_id": span.trace_id, "span_id": span.span_id, "trace_flags": span.trace_flags}
        values["attributes"] = {**attributes, contract.EVENT_NAME: event_name}
    real.emit(record(**values))
