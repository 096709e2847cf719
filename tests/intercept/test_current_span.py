"""Which span is current while DuckDB works, and is the caller's own again after it."""

from __future__ import annotations

import duckdb
import pytest
from opentelemetry import trace


class TestCurrentSpan:
    @pytest.fixture
    def inside(self, heard, connection):
        """The spans that were current while a Python function ran inside DuckDB."""
        current = []

        def look(value):
            current.append(trace.get_current_span().get_span_context().span_id)
            return value

        connection.create_function("look", look, ["BIGINT"], "BIGINT")
        heard.clear()
        return current

    def test_is_the_operation_while_duckdb_executes(self, heard, connection, inside):
        connection.execute("set threads=1").execute("create table made as select look(i) from range(3) r(i)")
        assert set(inside) == {heard.spans()[-1].context.span_id}

    def test_is_the_operation_while_duckdb_fetches(self, heard, connection, inside):
        connection.execute("set threads=1").execute("select look(i) from range(100000) r(i)")
        inside.clear()
        connection.fetchmany(10)
        assert not trace.get_current_span().get_span_context().is_valid
        while connection.fetchmany(20000):
            pass
        assert set(inside) <= {heard.spans()[-1].context.span_id}

    def test_is_the_caller_s_again_after_an_error(self, heard, connection):
        with heard.tracer().start_as_current_span("program") as program:
            with pytest.raises(duckdb.CatalogException):
                connection.execute("select * from missing")
            assert trace.get_current_span() is program
        assert heard.span().parent.span_id == program.get_span_context().span_id
