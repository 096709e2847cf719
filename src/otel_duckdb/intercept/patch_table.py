"""Which attribute of DuckDB gets which hook, on each line of DuckDB: the whole surface in one table."""

from __future__ import annotations

import sys
from threading import get_ident
from types import FunctionType, NoneType
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.core.forked import hold_for_ever
from otel_duckdb.core.patches import Patches
from otel_duckdb.intercept import duckdb1 as one
from otel_duckdb.intercept import duckdb2 as two
from otel_duckdb.intercept import streams
from otel_duckdb.intercept.appenders import AppenderCall, Appenders, NewAppenderCall
from otel_duckdb.intercept.connect import ConnectCall
from otel_duckdb.intercept.connection_methods import (
    CloseCall,
    CloseResultCall,
    CursorCall,
    ExecuteCall,
    FetchCall,
    FetchOneCall,
)
from otel_duckdb.intercept.describe import batch, given_query, into_table, named
from otel_duckdb.intercept.duckdb1 import SQLCall
from otel_duckdb.intercept.interruptions import Interruptions
from otel_duckdb.intercept.libraries import LIBRARIES, LibraryCall
from otel_duckdb.intercept.relations import Relations
from otel_duckdb.intercept.replacement_scans import ReplacementScan
from otel_duckdb.intercept.rows import WHOLE_RESULT, all_rows, chunk_rows, one_row, some_rows
from otel_duckdb.intercept.wrappers import BeginOnly, has_frame, wrapped, wrapped_scanning, wrapped_warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

    from otel_duckdb.core.operation import Connection
    from otel_duckdb.intercept.gate import Gate
    from otel_duckdb.intercept.wrappers import CallHook

SUPPORTED: Final = "1.4, 1.5 and 2.x"

_SQL_CALLS = ("sql", "query", "from_query")
_FETCH_CALLS = (*WHOLE_RESULT, "fetch_df")
_WARNING = ("fetch_arrow_table", "fetch_record_batch", "fetch_arrow_reader", "record_batch")


def generation(version: str) -> int:
    """The generation of DuckDB's client that a version belongs to, 1 or 2; 0 if it is not supported."""
    try:
        major, minor = (int(part) for part in version.split(".")[:2])
    except ValueError:
        return 0
    if major == 1:
        return 1 if minor >= 4 else 0  # noqa: PLR2004 - 1.4 is the oldest line that DuckDB still maintains
    return 2 if major == 2 else 0  # noqa: PLR2004 - a later client has to be measured first


class DefaultConnection:
    """The connection that module-level functions act on.

    DuckDB makes a new Python object for it whenever none is alive, so one is kept: DuckDB keeps the connection itself
    alive all the same, until it is closed or another one takes its place.
    """

    def __init__(self, duckdb: ModuleType) -> None:
        self._get = duckdb.default_connection
        self._kept: Any = None

    def __call__(self) -> Any:
        """The connection, kept until `release`."""
        self._kept = self._get()
        return self._kept

    def held_by_duckdb(self) -> Any:
        """The connection, not kept."""
        return self._get()

    def release(self) -> None:
        """Keep it no more."""
        self._kept = None


class SetDefaultCall(BeginOnly):
    """`set_default_connection`: the one before is not ours to keep."""

    def __init__(self, default: DefaultConnection) -> None:
        self._default = default

    def begin(self, _arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> None:
        """Let go of the connection."""
        self._default.release()


class OnDefaultConnection:
    """A hook of a module-level function, which acts on the default connection or the one given by keyword."""

    def __init__(self, hook: CallHook, default: DefaultConnection) -> None:
        self.hook = hook
        self._default = default
        self.succeed = hook.succeed
        self.fail = hook.fail

    def begin(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Begin the hook on the connection the function acts on."""
        try:
            target = keywords.get("connection")
            target = self._default() if target is None else target
        except Exception:
            return None
        return self.hook.begin((target, *arguments), {k: v for k, v in keywords.items() if k != "connection"})


class OnDefaultConnectionResult(OnDefaultConnection):
    """A hook of a module-level function that fetches only when called without arguments, such as `duckdb.df()`."""

    def begin(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Begin the hook, unless the call makes a relation of its argument."""
        return None if arguments else super().begin(arguments, keywords)


class PythonInsideCall(BeginOnly):
    """`create_function` and `register_filesystem`: from now on Python code of the user runs inside DuckDB."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def begin(self, _arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> None:
        """Measure every fetch from now on, so that the span is current whenever the user's code runs."""
        self._gate.python_inside = True


class ProfilingCall(BeginOnly):
    """`enable_profiling` and `disable_profiling`: from now on the connection's profiling is the user's."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def begin(self, arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> None:
        """Stand down."""
        connection = self._gate.connections.find(arguments[0])
        if connection is not None:
            self._gate.dispatcher.profiling_taken(connection)


class PatchTable:
    """The patched attributes of one DuckDB module."""

    def __init__(self, duckdb: ModuleType, gate: Gate) -> None:
        self._duckdb = duckdb
        self._gate = gate
        self._patches = Patches()
        self._default = DefaultConnection(duckdb)
        self._generation = generation(duckdb.__version__)
        self._fetch_one = FetchOneCall(gate)
        gate.dispatcher.listen(self._fetch_one)
        self._scopes: two.Scopes = {}
        self._functions: Mapping[str, CallHook] = {}
        self.relations = Relations(gate)
        self._faults = Interruptions(gate, self.relations, self._scopes)
        self.appenders = Appenders(gate)

    def install(self) -> None:
        """Replace the attributes; on an error none stays replaced."""
        try:
            connection = self._connection_hooks()
            self._replace(self._duckdb.DuckDBPyConnection, connection, module=False)
            self._replace(self._duckdb.DuckDBPyRelation, self._relation_hooks(), module=False)
            result = getattr(sys.modules.get("_duckdb"), "RelationResult", None)
            if result is not None:
                reading = two.ResultFetchCall(self._gate, self.relations)
                self._replace(result, {"fetchmany": reading}, module=False)
            if hasattr(self._duckdb, "Appender"):
                self._replace(self._duckdb.Appender, self._appender_hooks(), module=False)
            self._functions = self._module_hooks(connection)
            self.install_functions()
        except BaseException:
            self._patches.restore()
            raise

    def install_functions(self) -> None:
        """Replace the functions of the module, which come back when it is loaded again."""
        self._replace(self._duckdb, self._functions, module=True)

    def functions(self) -> dict[str, Any]:
        """The functions of the module whose calls are recorded only through the module's attribute.

        DuckDB 2's Python functions end in a method of the connection, and are recorded under any name.
        """
        found = {name: vars(self._duckdb).get(name) for name in self._module_hooks(self._connection_hooks())}
        return {name: value for name, value in found.items() if not isinstance(value, FunctionType | NoneType)}

    def remove(self) -> None:
        """Put the originals back."""
        self._patches.restore()
        self._default.release()

    def drain(self) -> None:
        """End the operations whose results are still open."""
        gate = self._gate
        for holder in (*gate.connections, *self.relations.open(), *self.appenders.open()):
            gate.hold(holder, None)
        streams.end_all()

    def forked(self) -> None:
        """In a forked child: the calls of other threads are under way in the parent alone."""
        if self._generation == 1:  # which opens its default connection when it is imported
            hold_for_ever(self._default.held_by_duckdb())
        thread = get_ident()
        for holder in (*self._gate.connections, *self.relations.working()):
            if holder.busy_thread != thread:
                holder.busy_thread = holder.busy_since_ns = 0
        for connection in [key for key, scope in self._scopes.items() if scope.thread != thread]:
            del self._scopes[connection]

    def live_connections(self) -> tuple[Connection, ...]:
        """The live connections, after everything has ended that was collected, and whose end a signal broke off."""
        for held in (self._gate.connections, self.relations, self.appenders):
            held.settle()
        return tuple(self._gate.connections)

    def working(self) -> Iterator[tuple[Connection | None, int]]:
        """The connections DuckDB works for at the moment, once for each operation, and since when, in nanoseconds."""
        yield from ((one, one.busy_since_ns) for one in self._gate.connections if one.busy_thread)
        yield from ((state.connection, state.busy_since_ns) for state in self.relations.working())

    def _replace(self, owner: Any, hooks: Mapping[str, CallHook], *, module: bool) -> None:
        missing = (self._duckdb.CatalogException, self._duckdb.BinderException)
        scan = ReplacementScan(missing, 0 if module else 1, lambda: self._gate.python_inside)
        made: dict[int, Any] = {}
        for name, hook in hooks.items():
            original = vars(owner).get(name)
            if original is None:
                continue
            if isinstance(original, property):
                self._patches.replace(owner, name, original.getter(self._wrap(name, original.fget, hook, scan)))
            elif isinstance(hook, FetchOneCall):
                self._patches.replace(owner, name, hook.method(original, self._faults))
            else:
                # Several names of one function stay names of one function, which is found by one of them when pickled.
                if id(original) not in made:
                    made[id(original)] = replacement = self._wrap(name, original, hook, scan)
                    replacement.__module__ = self._duckdb.__name__
                    replacement.__qualname__ = name if module else f"{owner.__name__}.{name}"
                self._patches.replace(owner, name, made[id(original)])

    def _wrap(self, name: str, original: Any, hook: CallHook, scan: ReplacementScan) -> Any:
        inner = hook.hook if isinstance(hook, OnDefaultConnection) else hook
        if name in LIBRARIES:
            hook = LibraryCall(self._gate, hook, LIBRARIES[name])
        faults = self._faults
        # What connections there are, and what the user does for ever, must be known when somebody listens later.
        dormancy = None if isinstance(inner, BeginOnly | CloseCall | ConnectCall) else self._gate.dormancy
        if self._generation == 1 and has_frame(original):
            if name in _WARNING:
                return wrapped_warning(original, hook, faults, dormancy)
            if isinstance(inner, ExecuteCall | SQLCall | one.TerminalCall):
                return wrapped_scanning(original, hook, faults, dormancy, scan)
        return wrapped(original, hook, faults, dormancy)

    def _connection_hooks(self) -> dict[str, CallHook]:
        gate = self._gate
        fetch, closing, descending = FetchCall(gate, all_rows), CloseCall(gate), CursorCall(gate)
        inside, theirs = PythonInsideCall(gate), ProfilingCall(gate)
        counts = self._generation != 1  # on DuckDB 1 `rowcount` is always -1
        hooks: dict[str, CallHook] = {
            "execute": ExecuteCall(gate, given_query, replaces=True, counts=counts),
            "executemany": ExecuteCall(gate, batch, counts=counts),
            "append": ExecuteCall(gate, into_table("append", "INSERT")),
            "begin": ExecuteCall(gate, named("BEGIN")),
            "commit": ExecuteCall(gate, named("COMMIT")),
            "rollback": ExecuteCall(gate, named("ROLLBACK")),
            "checkpoint": ExecuteCall(gate, named("CHECKPOINT")),
            "appender": NewAppenderCall(gate, into_table("appender", "INSERT"), self.appenders),
            "query_appender": NewAppenderCall(gate, given_query, self.appenders),
            "fetchone": self._fetch_one,
            "fetchmany": FetchCall(gate, some_rows),
            "fetch_df_chunk": FetchCall(gate, chunk_rows),
            **dict.fromkeys(_FETCH_CALLS, fetch),
            "complete": CloseResultCall(gate),
            "abort": CloseResultCall(gate),
            "cursor": descending,
            "duplicate": descending,
            "close": closing,
            "__exit__": closing,
            "create_function": inside,
            "register_filesystem": inside,
            "enable_profiling": theirs,
            "disable_profiling": theirs,
        }
        relation_type = self._duckdb.DuckDBPyRelation
        if self._generation == 1:
            hooks.update(dict.fromkeys(_SQL_CALLS, SQLCall(gate, self.relations, relation_type)))
        else:
            hooks.update(
                dict.fromkeys(_SQL_CALLS, two.PublicSQLCall(gate, self.relations, self._scopes, relation_type))
            )
            hooks["_submit"] = two.SubmitCall(gate, self.relations, self._scopes)
            hooks["_prepare_script"] = two.SubmitCall(gate, self.relations, self._scopes, script=True)
        return hooks

    def _relation_hooks(self) -> Mapping[str, CallHook]:
        if self._generation == 1:
            return one.terminals(self._gate, self.relations)
        return two.terminals(self._gate, self.relations, self._scopes)

    def _appender_hooks(self) -> dict[str, CallHook]:
        serve = AppenderCall(self._gate, self.appenders)
        end = AppenderCall(self._gate, self.appenders, last=True)
        return {"append_row": serve, "append_rows": serve, "flush": serve, "__exit__": end}

    def _module_hooks(self, connection: Mapping[str, CallHook]) -> dict[str, CallHook]:
        default = self._default
        hooks: dict[str, CallHook] = {}
        for name, hook in connection.items():
            if name.startswith("_") or name == "fetchone":
                continue
            hooks[name] = (OnDefaultConnectionResult if name in _FETCH_CALLS else OnDefaultConnection)(hook, default)
        hooks["fetchone"] = OnDefaultConnection(FetchCall(self._gate, one_row), default)
        hooks["set_default_connection"] = SetDefaultCall(default)
        hooks["connect"] = ConnectCall(self._gate, self._duckdb.DuckDBPyConnection)
        return hooks
