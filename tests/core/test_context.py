"""The current context is OpenTelemetry's, by the variable itself or by the API where the program keeps it elsewhere."""

from __future__ import annotations

import contextvars
import logging
import runpy

from opentelemetry import context as api
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace import NonRecordingSpan, SpanContext, get_current_span

from otel_duckdb.core.dispatcher import Call
from otel_duckdb.core.location import Location
from otel_duckdb.core.operation import Connection, Operation
from otel_duckdb.statement import parse
from otel_duckdb.telemetry import context


class Elsewhere(ContextVarsRuntimeContext):
    """A way to keep the context that may be any."""


def test_what_is_attached_is_what_the_api_tells_and_is_detached_again():
    before = api.get_current()
    span = NonRecordingSpan(SpanContext(1, 2, is_remote=False))
    token = context.attach(api.Context({context.SPAN: span}))
    assert context.get_current() is api.get_current()
    assert get_current_span() is span
    context.detach(token)
    assert api.get_current() is before


def test_a_program_that_keeps_the_context_elsewhere_is_asked_by_the_api(monkeypatch):
    monkeypatch.setattr(api, "_RUNTIME_CONTEXT", Elsewhere())
    found = runpy.run_path(context.__file__)
    assert (found["get_current"], found["attach"], found["detach"]) == (api.get_current, api.attach, api.detach)


def test_a_call_that_ends_in_another_context_is_told_in_the_log_and_ends(caplog):
    connection = Connection(1, None, Location("memory", None), None)
    operation = Operation("SELECT 1", parse("SELECT 1"), connection)
    operation.context = api.Context({"key": "value"})
    operation.slow_threshold = type("Never", (), {"limit_ns": float("inf")})()
    call = contextvars.copy_context().run(Call, operation, connection, 1)
    with caplog.at_level(logging.ERROR, "opentelemetry.context"):
        assert call.leave() > 0
    assert "Failed to detach context" in caplog.text
    assert connection.busy_thread == 0
