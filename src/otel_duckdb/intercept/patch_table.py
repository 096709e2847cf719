"""Which attribute of DuckDB gets which role, on each line of DuckDB: the whole surface in one table."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.core.patches import Patches
from otel_duckdb.intercept import duckdb1 as one
from otel_duckdb.intercept import duckdb2 as two
from otel_duckdb.intercept.appenders import Appenders, Appending, MakingAppender
from otel_duckdb.intercept.connect import Opening
from otel_duckdb.intercept.connection_methods import Closing, Descending, Dropping, Executing, Fetching, FetchingOne
from otel_duckdb.intercept.describe import batch, given_query, into_table, named
from otel_duckdb.intercept.duckdb1 import Asking
from otel_duckdb.intercept.relations import Relations
from otel_duckdb.intercept.replacement_scans import ReplacementScan
from otel_duckdb.intercept.rows import WHOLE_RESULT, all_rows, chunk_rows, one_row, some_rows
from otel_duckdb.intercept.wrappers import heard, heard_scanning, heard_warning

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from otel_duckdb.intercept.gate import Listener
    from otel_duckdb.intercept.wrappers import Role

SUPPORTED: Final = "1.4, 1.5 and 2.x"

_ASKING = ("sql", "query", "from_query")
_FETCHING = (*WHOLE_RESULT, "fetch_df")
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

    def release(self) -> None:
        """Keep it no more."""
        self._kept = None


class Releasing:
    """`set_default_connection`: the one before is not ours to keep."""

    def __init__(self, default: DefaultConnection) -> None:
        self._default = default

    def begin(self, _arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> None:
        """Let go of the connection."""
        self._default.release()

    def succeed(self, _call: Any, result: Any) -> Any:
        """Never called."""
        return result

    def fail(self, _call: Any, _error: BaseException) -> None:
        """Never called."""


class OnDefault:
    """A role of a module-level function, which acts on the default connection or the one given by keyword."""

    def __init__(self, role: Role, default: DefaultConnection) -> None:
        self.role = role
        self._default = default
        self.succeed = role.succeed
        self.fail = role.fail

    def begin(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Begin the role on the connection the function acts on."""
        try:
            target = keywords.get("connection")
            target = self._default() if target is None else target
        except Exception:
            return None
        return self.role.begin((target, *arguments), {k: v for k, v in keywords.items() if k != "connection"})


class OnDefaultResult(OnDefault):
    """The same for a name that fetches only when it is called without arguments, such as `duckdb.df()`."""

    def begin(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Begin the role, unless the call makes a relation of its argument."""
        return None if arguments else super().begin(arguments, keywords)


class PythonInside:
    """`create_function` and `register_filesystem`: from now on Python code of the user runs inside DuckDB."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def begin(self, _arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> None:
        """Measure every fetch from now on, so that the span is current whenever the user's code runs."""
        self._listener.python_inside = True

    def succeed(self, _call: Any, result: Any) -> Any:
        """Never called."""
        return result

    def fail(self, _call: Any, _error: BaseException) -> None:
        """Never called."""


class TheirProfiling:
    """`enable_profiling` and `disable_profiling`: from now on the connection's profiling is the user's."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def begin(self, arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> None:
        """Stand down."""
        connection = self._listener.connections.find(arguments[0])
        if connection is not None:
            self._listener.operations.stand_down(connection)

    def succeed(self, _call: Any, result: Any) -> Any:
        """Never called."""
        return result

    def fail(self, _call: Any, _error: BaseException) -> None:
        """Never called."""


class Surface:
    """The patched attributes of one DuckDB module."""

    def __init__(self, duckdb: ModuleType, listener: Listener, failed: Callable[[BaseException], None]) -> None:
        self._duckdb = duckdb
        self._listener = listener
        self._failed = failed
        self._patches = Patches()
        self._default = DefaultConnection(duckdb)
        self._generation = generation(duckdb.__version__)
        self.fetching_one: FetchingOne | None = None
        self.relations = Relations(listener)
        self.appenders = Appenders(listener)

    def install(self) -> None:
        """Replace the attributes; on an error none stays replaced."""
        try:
            connection = self._connection_roles()
            self._replace(self._duckdb.DuckDBPyConnection, connection, module=False)
            self._replace(self._duckdb.DuckDBPyRelation, self._relation_roles(), module=False)
            result = getattr(sys.modules.get("_duckdb"), "RelationResult", None)
            if result is not None:
                reading = two.ReadingResult(self._listener, self.relations)
                self._replace(result, {"fetchmany": reading}, module=False)
            if hasattr(self._duckdb, "Appender"):
                self._replace(self._duckdb.Appender, self._appender_roles(), module=False)
            self._replace(self._duckdb, self._module_roles(connection), module=True)
        except BaseException:
            self._patches.restore()
            raise

    def remove(self) -> None:
        """Put the originals back."""
        self._patches.restore()
        self._default.release()

    def _replace(self, owner: Any, roles: Mapping[str, Role], *, module: bool) -> None:
        scan = ReplacementScan(self._duckdb.CatalogException, 0 if module else 1)
        for name, role in roles.items():
            original = vars(owner).get(name)
            if original is None:
                continue
            if isinstance(original, property):
                self._patches.replace(owner, name, original.getter(self._wrap(name, original.fget, role, scan)))
            elif isinstance(role, FetchingOne):
                self._patches.replace(owner, name, role.method(original))
            else:
                self._patches.replace(owner, name, self._wrap(name, original, role, scan))

    def _wrap(self, name: str, original: Any, role: Role, scan: ReplacementScan) -> Any:
        heart = role.role if isinstance(role, OnDefault) else role
        if self._generation == 1 and name in _WARNING:
            return heard_warning(original, role)
        scans = isinstance(heart, Executing | Asking | one.Terminal)
        if self._generation == 1 and scans:
            return heard_scanning(original, role, scan)
        return heard(original, role)

    def _connection_roles(self) -> dict[str, Role]:
        listener = self._listener
        self.fetching_one = FetchingOne(listener)
        fetch, closing, descending = Fetching(listener, all_rows), Closing(listener), Descending(listener)
        inside, theirs = PythonInside(listener), TheirProfiling(listener)
        roles: dict[str, Role] = {
            "execute": Executing(listener, given_query, replaces=True),
            "executemany": Executing(listener, batch),
            "append": Executing(listener, into_table("append", "INSERT")),
            "begin": Executing(listener, named("BEGIN")),
            "commit": Executing(listener, named("COMMIT")),
            "rollback": Executing(listener, named("ROLLBACK")),
            "checkpoint": Executing(listener, named("CHECKPOINT")),
            "appender": MakingAppender(listener, into_table("appender", "INSERT"), self.appenders),
            "query_appender": MakingAppender(listener, given_query, self.appenders),
            "fetchone": self.fetching_one,
            "fetchmany": Fetching(listener, some_rows),
            "fetch_df_chunk": Fetching(listener, chunk_rows),
            **dict.fromkeys(_FETCHING, fetch),
            "complete": Dropping(listener),
            "abort": Dropping(listener),
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
            roles.update(dict.fromkeys(_ASKING, Asking(listener, self.relations, relation_type)))
        else:
            roles.update(dict.fromkeys(_ASKING, two.AskingPublic(listener, self.relations, relation_type)))
            roles["_submit"] = two.Submitting(listener, self.relations)
            roles["_prepare_script"] = two.Submitting(listener, self.relations, script=True)
        return roles

    def _relation_roles(self) -> Mapping[str, Role]:
        make = one.terminals if self._generation == 1 else two.terminals
        return make(self._listener, self.relations)

    def _appender_roles(self) -> dict[str, Role]:
        serve = Appending(self._listener, self.appenders)
        end = Appending(self._listener, self.appenders, last=True)
        return {"append_row": serve, "append_rows": serve, "flush": serve, "__exit__": end}

    def _module_roles(self, connection: Mapping[str, Role]) -> dict[str, Role]:
        default = self._default
        roles: dict[str, Role] = {}
        for name, role in connection.items():
            if name.startswith("_") or name == "fetchone":
                continue
            roles[name] = (OnDefaultResult if name in _FETCHING else OnDefault)(role, default)
        roles["fetchone"] = OnDefault(Fetching(self._listener, one_row), default)
        roles["set_default_connection"] = Releasing(default)
        roles["connect"] = Opening(self._listener, self._failed)
        return roles
