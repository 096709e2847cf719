"""What the journal knows of one table: how far it is, and the batch that is on its way."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from otel_duckdb.sync import checked
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
class Position:
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
    """A batch whose bounds and token are durable, and whose arrival is not yet known; `position` is where it ends."""

    sequence: int
    token: str
    rows: int
    bytes: int
    hash: int
    position: Position
    since: str
    trace: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """One table's row of the journal."""

    name: str
    source: int
    target: str
    """The target table with its database, as in 'market.ticks'."""
    key: tuple[str, ...]
    """The columns of the key, none of an append-only table."""
    columns: Signature
    begun: str
    caught_up: str | None = None
    """When the buffer was last known to be wholly acknowledged, None where it never was."""
    sequence: int = 0
    position: Position = Position()
    pending: Pending | None = None
    acknowledged_rows: int = 0
    deleted_rows: int = 0
    dropped_rows: int = 0
    earlier: tuple[int, ...] = ()
    """Source numbers from before a reset, whose rows were left in the target."""
    failing_since: str | None = None
    failure: str | None = None

    @classmethod
    def fresh(cls, name: str, target: str, key: tuple[str, ...], columns: Signature) -> State:
        """The state of a table of which nothing was sent; its source number tells it from any other table's."""
        return cls(name, secrets.randbits(63) | 1, target, key, columns, now())

    @property
    def keyed(self) -> bool:
        """Whether the table has a key."""
        return bool(self.key)

    @property
    def begun_sending(self) -> bool:
        """Whether anything was ever sent, or may have been."""
        return self.sequence > 0 or self.pending is not None or bool(self.earlier)

    @property
    def behind_since(self) -> float:
        """Since when rows may wait, in seconds of the wall clock: when none did last, else the journal's begin."""
        return seconds_of(self.caught_up or self.begun)

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
            position=self.pending.position,
            pending=None,
            acknowledged_rows=self.acknowledged_rows + self.pending.rows,
            failing_since=None,
            failure=None,
        )

    def fail(self, failure: str) -> State:
        """The state after a failed pass; it remembers since when."""
        return replace(self, failing_since=self.failing_since or now(), failure=failure)

    def dump(self) -> tuple[str, str]:
        """The state as JSON, and its checksum, which shows whether it was damaged."""
        text = json.dumps(_document(self), sort_keys=True)
        return text, checksum(text)

    @classmethod
    def load(cls, text: str, expected: str) -> State:
        """Read a state back.

        Raises:
            JournalError: it is not as it was written, or holds a value that no sync writes.
        """
        if checksum(text) != expected:
            raise JournalError("a row of the journal was changed by another hand, or is damaged")
        try:
            return _state(json.loads(text))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise JournalError(f"a row of the journal is of another version, or forged: {error}") from None


def _document(one: State | Pending | Position) -> dict[str, Any]:
    """The fields as the journal's JSON has them, where a position is a mark."""
    values: dict[str, Any] = {}
    for field in fields(one):
        value = getattr(one, field.name)
        name = "mark" if field.name == "position" else field.name
        values[name] = _document(value) if isinstance(value, (Pending, Position)) else value
    return values


def _state(document: Any) -> State:
    values = checked.fields(
        document,
        {
            "name": checked.text,
            "source": checked.whole(1, 2**63 - 1),
            "target": checked.text,
            "key": checked.several(checked.text),
            "columns": checked.several(_column),
            "begun": checked.moment,
            "caught_up": checked.optional(checked.moment),
            "sequence": checked.whole(),
            "mark": _position,
            "pending": checked.optional(_pending),
            "acknowledged_rows": checked.whole(),
            "deleted_rows": checked.whole(),
            "dropped_rows": checked.whole(),
            "earlier": checked.several(checked.whole(1, 2**63 - 1)),
            "failing_since": checked.optional(checked.moment),
            "failure": checked.optional(checked.text),
        },
    )
    position = values.pop("mark")
    return State(**values, position=position)


def _position(name: str, document: Any) -> Position:
    del name
    numbers = {"kept", "anchor_rows", "anchor_row"}
    values = checked.fields(
        document,
        {
            **dict.fromkeys(numbers, checked.whole()),
            "row": checked.whole(-1),
            **dict.fromkeys(("hash", "anchor_hash"), checked.whole(0, MODULUS - 1)),
        },
    )
    return Position(**values)


def _pending(name: str, document: Any) -> Pending:
    del name
    values = checked.fields(
        document,
        {
            "sequence": checked.whole(1),
            "token": checked.matching(r"[0-9a-f]{16}-[0-9]{1,19}-[0-9a-f]{8}"),
            "rows": checked.whole(1),
            "bytes": checked.whole(),
            "hash": checked.whole(0, MODULUS - 1),
            "mark": _position,
            "since": checked.moment,
            "trace": checked.matching(r"(|[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})"),
        },
    )
    position = values.pop("mark")
    return Pending(**values, position=position)


def _column(name: str, value: Any) -> tuple[str, str, bool]:
    column, kind, optional = value
    return checked.text(name, column), checked.text(name, kind), checked.boolean(name, optional)


def checksum(text: str) -> str:
    """Shows damage and slips; anyone can compute it, so what it covers is checked by its meaning as well."""
    return hashlib.sha256(f"otel-duckdb sync journal\n{text}".encode()).hexdigest()
