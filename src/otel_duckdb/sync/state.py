"""What the journal knows of one table: how far it is, and the batch that is on its way."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from otel_duckdb.sync.errors import JournalError

if TYPE_CHECKING:
    from otel_duckdb.sync.schema import Signature

MODULUS = 2**64


def now() -> str:
    """This moment in UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat()


def seconds_of(moment: str) -> float:
    """A moment of now(), in seconds of the wall clock."""
    return datetime.fromisoformat(moment).timestamp()


@dataclass(frozen=True, slots=True)
class Mark:
    """A position in an append-only table: after its first `kept` rows in the order of their row ids.

    `row` is the row id of the last of them. The anchor, some rows up to and with it, shows by its hash whether the row
    ids are still the same. `hash` adds up the hashes of all `kept` rows, modulo 2**64.
    """

    kept: int = 0
    row: int = -1
    hash: int = 0
    anchor_row: int = 0
    anchor_rows: int = 0
    anchor_hash: int = 0


@dataclass(frozen=True, slots=True)
class Pending:
    """A batch whose bounds and token are durable, and whose arrival is not yet known; `mark` is where it ends."""

    sequence: int
    token: str
    rows: int
    bytes: int
    hash: int
    mark: Mark
    since: str
    trace: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """One table's row of the journal."""

    name: str
    source: int
    target: str
    keyed: bool
    columns: Signature
    caught_up: str
    """When the buffer was last known to be wholly acknowledged."""
    sequence: int = 0
    mark: Mark = Mark()
    pending: Pending | None = None
    acknowledged_rows: int = 0
    deleted_rows: int = 0
    dropped_rows: int = 0
    failing_since: str | None = None
    failure: str | None = None

    @classmethod
    def fresh(cls, name: str, target: str, keyed: bool, columns: Signature) -> State:
        """The state of a table of which nothing was sent; its source number tells it from any other table's."""
        return cls(name, secrets.randbits(63) | 1, target, keyed, columns, now())

    def intend(self, pending: Pending) -> State:
        """The state with a batch about to be sent."""
        return replace(self, pending=pending)

    def acknowledge(self) -> State:
        """The state once the pending batch is known to be stored."""
        if self.pending is None:
            return self
        return replace(
            self,
            sequence=self.pending.sequence,
            mark=self.pending.mark,
            pending=None,
            acknowledged_rows=self.acknowledged_rows + self.pending.rows,
            failing_since=None,
            failure=None,
        )

    def fail(self, failure: str) -> State:
        """The state after a failed pass; it remembers since when."""
        return replace(self, failing_since=self.failing_since or now(), failure=failure)

    def dump(self) -> tuple[str, str]:
        """The state as JSON, and the seal that shows whether it was tampered with."""
        text = json.dumps(asdict(self), sort_keys=True)
        return text, _seal(text)

    @classmethod
    def load(cls, text: str, seal: str) -> State:
        """Read a state back.

        Raises:
            JournalError: it is not as it was written.
        """
        if _seal(text) != seal:
            raise JournalError("a row of the journal was changed by another hand, or is damaged")
        try:
            return _state(cls, json.loads(text))
        except (ValueError, TypeError, KeyError) as error:
            raise JournalError(f"a row of the journal is of another version: {error}") from error


def _state(cls: type[State], values: dict[str, Any]) -> State:
    if set(values) != {field.name for field in fields(cls)}:
        raise ValueError("it has other fields")
    values["columns"] = tuple((name, kind, optional) for name, kind, optional in values["columns"])
    values["mark"] = Mark(**values["mark"])
    if values["pending"] is not None:
        pending = values["pending"]
        values["pending"] = Pending(**{**pending, "mark": Mark(**pending["mark"])})
    return cls(**values)


def _seal(text: str) -> str:
    return hashlib.sha256(f"otel-duckdb sync journal\n{text}".encode()).hexdigest()
