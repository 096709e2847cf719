"""Without an SDK, and with nobody else who listens, calls pass by our code; who comes later hears what begins then."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import pytest
from opentelemetry import trace
from opentelemetry.metrics import _internal as metrics_api

import otel_duckdb
from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.core import source
from otel_duckdb.core.listener import Listener
from otel_duckdb.intercept import _wrapper, wrappers

HOME = str(Path(otel_duckdb.__file__).parent)


class Taken(Listener):
    """Takes down how many rows the operations that have ended returned."""

    component = "taken"

    def __init__(self):
        self.rows = []

    def record(self, operation):
        self.rows.append(operation.rows)


@pytest.fixture(params=["in C", "in Python"])
def dormant(request, monkeypatch):
    """DuckDB instrumented, with no SDK and nobody who listens, by either of the wrapper's twins."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(metrics_api, "_METER_PROVIDER", None)
    if request.param == "in Python":
        monkeypatch.setattr(wrappers, "Wrapper", None)
    DuckDBInstrumentor().instrument(engine_metrics=False, profile="off")


@pytest.fixture
def set_up(monkeypatch, telemetry):
    """Sets an SDK up whose spans are in `telemetry`."""
    return lambda: monkeypatch.setattr(trace, "_TRACER_PROVIDER", telemetry.tracer_provider)


def frames_of_ours(action):
    """The names of the Python functions of this package that run in `action`."""
    names = []

    def profile(frame, event, _argument):
        if event == "call" and frame.f_code.co_filename.startswith(HOME):
            names.append(frame.f_code.co_name)

    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(None)
    return names


@pytest.mark.parametrize("dormant", ["in C"], indirect=True)
@pytest.mark.usefixtures("dormant")
def test_no_python_code_of_ours_runs_in_a_call_that_nobody_hears_of(set_up):
    connection = duckdb.connect()

    def work():
        connection.execute("select 1 as i", parameters=None).fetchall()
        connection.execute("from range(3)").fetchone()
        connection.fetchmany(1)
        connection.begin()
        connection.commit()
        connection.cursor()

    assert frames_of_ours(work) == []
    set_up()
    assert "connection_to_record" in frames_of_ours(work)


@pytest.mark.usefixtures("dormant")
def test_an_sdk_set_up_before_the_fetch_hears_of_the_next_query(set_up, telemetry):
    with duckdb.connect() as connection:
        connection.execute("from range(3)")
        set_up()
        assert len(connection.fetchall()) == 3
        assert telemetry.spans() == []
        connection.execute("from range(5)").fetchall()
        cursor = connection.cursor()  # on DuckDB 1.4 a relation does not outlive its connection
        cursor.sql("select 1").fetchall()
    assert [span.attributes["db.response.returned_rows"] for span in telemetry.spans()] == [5, 1]


@pytest.mark.usefixtures("dormant")
def test_who_listens_later_hears_of_it_and_of_what_is_open_when_going(set_up, telemetry):
    connection = duckdb.connect()
    connection.execute("from range(3)")
    listener, found = Taken(), []
    source.follow(found.append)
    source.unfollow(found.append)
    found[0].listen(listener)
    connection.fetchall()
    connection.execute("from range(4)").fetchall()
    connection.execute("from range(6)")
    found[0].forget(listener)
    assert listener.rows == [4]
    connection.fetchall()  # ends what was open
    set_up()
    connection.execute("from range(7)").fetchall()
    assert [span.attributes["db.response.returned_rows"] for span in telemetry.spans()] == [7]
    connection.close()


@pytest.mark.usefixtures("dormant")
def test_functions_loaded_anew_are_heard_like_the_others(set_up, telemetry):
    set_up()
    duckdb.execute("select 1").fetchall()
    source._current._patch_table.install_functions()
    duckdb.execute("select 2").fetchall()
    assert len(telemetry.spans()) == 2


def test_the_c_module_refuses_what_it_could_not_look_into():
    for absent in ([], ("name",), (([], "name"),), (({},),)):
        with pytest.raises(TypeError):
            _wrapper.Wrapper(len, *(None,) * 6, absent, True)
    with pytest.raises(TypeError, match="wrapper"):
        _wrapper.wake(len)
