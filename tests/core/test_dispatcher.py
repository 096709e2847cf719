"""Listeners hear what they define, in their order, and none disturbs another."""

from otel_duckdb.core.dispatcher import Dispatcher
from otel_duckdb.core.listener import Listener
from otel_duckdb.core.location import Location
from otel_duckdb.core.operation import Connection, Operation
from otel_duckdb.statement import parse

NO_EVENTS = {"component", "watched", "running", "kinds"}
EVENTS = [name for name in vars(Listener) if not name.startswith("_") and name not in NO_EVENTS]


class Hearing(Listener):
    """Takes down every event; has two of its methods raise, where asked to."""

    component = "hearing"
    watched = ("SELECT ?",)

    def __init__(self, told, raising=()):
        self._told = told
        self._raising = raising

    def _hear(self, event):
        self._told.append((self.component, event))
        if event in self._raising:
            raise LookupError(event)


def _method(event):
    def method(self, *_arguments):
        self._hear(event)
        return True

    return method


for _event in EVENTS:
    setattr(Hearing, _event, _method(_event))


class Second(Hearing):
    component = "second"


class Quiet(Listener):
    component = "quiet"


def dispatcher(*listeners, slow_ns=float("inf")):
    faults = []
    made = Dispatcher(lambda component, error: faults.append((component, str(error))), slow_ns)
    made.listen(*listeners)
    return made, faults


def run(made, text="SELECT 1", error=None):
    connection = Connection(1, None, Location("memory", None), None)
    operation = Operation(text, parse(text), connection)
    call = made.begin(operation, connection, 1)
    operation.execute_ns = call.leave()
    made.end(operation, error)
    return operation


def test_every_event_goes_to_all_that_define_it_in_their_order():
    told = []
    made, faults = dispatcher(Hearing(told), Quiet(), Second(told), slow_ns=-1)
    connection = Connection(1, None, Location("memory", None), None)
    made.connection_opened(connection, object())
    operation = run(made, error=OSError())
    made.describe(operation, None)
    made.connection_closing(connection)
    made.connection_closed(connection)
    made.connect_failed(OSError())
    made.profiling_taken(connection)
    assert not faults
    assert told[::2] == [("hearing", event) for _, event in told[1::2]]
    assert {component for component, _ in told[1::2]} == {"second"}
    assert {event for _, event in told} == set(EVENTS)
    assert [event for _, event in told[1::2]] == [
        "connection_opened",
        "accepts",
        "before_execute",
        "started",
        "became_slow",
        "finished",
        "record",
        "failed",
        "describe",
        "connection_closing",
        "connection_closed",
        "connect_failed",
        "profiling_taken",
    ]


def test_one_that_raises_silences_no_other_and_is_counted_under_its_own_name():
    told = []
    made, faults = dispatcher(Hearing(told, raising=EVENTS), Second(told), slow_ns=-1)
    operation = run(made)
    made.describe(operation, None)
    raised = ["accepts", "before_execute", "started", "became_slow", "finished", "record", "describe"]
    assert faults == [("hearing", event) for event in raised]
    assert [event for component, event in told if component == "second"] == raised


def test_an_operation_nobody_watches_is_not_shown_before_it_runs():
    told = []
    made, _ = dispatcher(Hearing(told))
    run(made, "SELECT a FROM b")
    assert ("hearing", "before_execute") not in told


def test_what_listeners_do_before_an_operation_runs_is_not_its_time():
    class Slow(Quiet):
        watched = ("SELECT ?",)

        def before_execute(self, operation, _holder, _replaces):
            self.before = operation.start_ns

    slow = Slow()
    made, _ = dispatcher(slow)
    operation = run(made)
    assert operation.start_ns > slow.before


def test_a_refused_operation_is_finished_but_neither_started_nor_recorded_nor_slow():
    class Refusing(Quiet):
        def accepts(self, _operation):
            return False

    told = []
    made, faults = dispatcher(Refusing(), Hearing(told), slow_ns=-1)
    operation = run(made)
    assert not operation.accepted
    assert not faults
    assert [event for _, event in told] == ["before_execute", "finished"]


def test_an_operation_ends_once():
    told = []
    made, _ = dispatcher(Hearing(told))
    operation = run(made)
    made.end(operation, OSError())
    assert told.count(("hearing", "record")) == 1


def test_a_listener_is_told_of_the_kinds_it_names_alone_and_of_errors_apart():
    told = []

    class Settings(Listener):
        component = "settings"
        kinds = frozenset({"SET", "PRAGMA"})

        def record(self, operation):
            told.append(operation.text)

        def failed(self, operation):
            told.append(operation.error)

    made, faults = dispatcher(Quiet(), Settings())
    error = LookupError("nowhere")
    for text, raised in (("SELECT 1", None), ("SET threads = 1", None), ("SELECT 2", error), ("SET a = 1", error)):
        run(made, text, raised)
    assert told == ["SET threads = 1", error, "SET a = 1", error]
    with made.muted():
        run(made, "SET threads = 2", error)
    assert len(told) == 4
    assert faults == []


def test_the_operations_that_run_are_kept_for_whoever_wants_them():
    class Watching(Quiet):
        def __init__(self):
            self.running = set()

    watching = Watching()
    made, _ = dispatcher(watching)
    connection = Connection(1, None, Location("memory", None), None)
    first, second = (Operation(text, parse(text), connection) for text in ("SELECT 1", "SELECT 2"))
    call = made.begin(first, connection, 1)
    made.begin(second, connection, 2)
    assert watching.running == {first, second}
    assert [(each.thread, each.came_second) for each in (first, second)] == [(1, False), (2, True)]
    call.leave()
    made.end(first)
    assert watching.running == {second}
    made.forget(watching)
    made.begin(first, connection, 1)
    assert watching.running == {second}
