"""One live connection of the user's, and the database it is open on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import weakref

    from otel_duckdb.core.operation import Operation
    from otel_duckdb.core.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Location:
    """Which database a connection is open on.

    Attributes:
        name: DuckDB's name of it: the file's name without its ending, `memory` for one in memory.
        path: The real path of its file, or None.
    """

    name: str
    path: str | None


def location(database: object) -> Location:
    """Read the first argument of `duckdb.connect()`, without the query of a remote address, which may hold a token."""
    text = os.fsdecode(database) if isinstance(database, bytes | os.PathLike) else str(database)
    text = text.partition("?")[0]
    if not text or text.startswith(":"):
        return Location(text.strip(":").removeprefix("memory:") or "memory", None)
    name = os.path.splitext(os.path.basename(text))[0] or text  # noqa: PTH119, PTH122 - may be an address, no path
    return Location(name, None if "://" in text or text.startswith("md:") else os.path.realpath(text))


class Connection:
    """What is known of one live connection.

    Attributes:
        reference: Weak reference to DuckDB's object.
        location: The database it is open on.
        parent: The connection it is a cursor or duplicate of, or None.
        operation: The operation whose result is open on it, or None.
        busy_thread: Identity of the thread in which DuckDB works for it, or 0.
        profiling: What is known of DuckDB's profiling of it, or None.
        scope: What a public call of DuckDB 2 has to say to the calls inside it, or None.
        label: The name of its database in the metrics, unique within the process.
        transaction: What is known of its transaction, or None as long as there was none.
    """

    connection_inferred = False

    __slots__ = (
        "__weakref__",
        "busy_thread",
        "children",
        "closed",
        "key",
        "label",
        "location",
        "operation",
        "parent",
        "profiling",
        "reference",
        "scope",
        "transaction",
    )

    def __init__(
        self, key: int, reference: weakref.ref[Any] | None, where: Location, parent: Connection | None
    ) -> None:
        self.key = key
        self.reference = reference
        self.location = where
        self.parent = parent
        self.children: weakref.WeakSet[Connection] | None = None
        self.operation: Operation | None = None
        self.busy_thread = 0
        self.profiling: Any = None
        self.scope: Any = None
        self.closed = False
        self.label = where.name
        self.transaction: Transaction | None = None

    @property
    def database(self) -> str:
        """The name of the database."""
        return self.location.name


def unregistered() -> Connection:
    """A record for one call on a connection of which nothing can be learned, such as a closed one."""
    connection = Connection(0, None, Location("", None), None)
    connection.closed = True
    return connection
