"""Transactions, from the calls recorded on a connection: DuckDB itself does not tell whether one is open."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

BEGIN: Final = "BEGIN"
COMMIT: Final = "COMMIT"
ROLLBACK: Final = "ROLLBACK"
WRITE: Final = "WRITE"
"""A statement that changes the database, and commits by itself where no transaction is open."""
READ: Final = ""

_BINDING = ("ParserException", "SyntaxException", "BinderException", "CatalogException")
_OF_THE_CLIENT = (
    "Invalid Input Error: executemany requires",
    "Invalid Input Error: Prepared parameters can only",
    "Invalid Input Error: Please provide either",
    "Not implemented Error: Unable to transform python value",
)
_ABORTED = "Current transaction is aborted"
NO_TRANSACTION: Final = "no transaction is active"
"""What DuckDB says of a COMMIT or ROLLBACK outside a transaction."""
_COMMIT_FAILED = "Failed to commit"


class Effect(Enum):
    """What an error does to an open transaction."""

    NONE = "the transaction is as it was"
    ABORTS = "the transaction is aborted: it can only be rolled back"
    ENDS = "the transaction is rolled back and over"


class Rules:
    """What the errors of this version of DuckDB do to an open transaction."""

    def __init__(self, duckdb: ModuleType) -> None:
        """Learn the classes of errors from the module."""
        self._error: type[Exception] = duckdb.Error
        harmless = [getattr(duckdb, "ResourceInUseException", None)]
        if int(duckdb.__version__.partition(".")[0]) < 2:  # noqa: PLR2004 - from DuckDB 2 on every error aborts
            harmless += [getattr(duckdb, name, None) for name in _BINDING]
        self._harmless = tuple(error for error in harmless if error is not None)

    def effect(self, error: BaseException) -> Effect:
        """Return what the error does to an open transaction.

        An error that the client raises before DuckDB has seen anything does nothing, and neither does a Ctrl-C.
        """
        if not isinstance(error, self._error) or isinstance(error, self._harmless):
            return Effect.NONE
        text = str(error)
        if text.startswith(_OF_THE_CLIENT):
            return Effect.NONE
        return Effect.ENDS if _COMMIT_FAILED in text or NO_TRANSACTION in text else Effect.ABORTS

    def reached(self, error: BaseException) -> bool:
        """Whether DuckDB started to work on the statement at all."""
        return isinstance(error, self._error) and not str(error).startswith(_OF_THE_CLIENT)


class Outcome(NamedTuple):
    """How `number` transactions of one kind ended; `milliseconds` is their duration together.

    `success` is True where they were committed, False where changes that were to be kept are lost, and None where there
    was nothing to lose: no statement that changes the database was tried.
    """

    success: bool | None
    milliseconds: float
    number: int = 1


class Step(NamedTuple):
    """One call on a connection that is over: the words of its statements, and when it started and ended.

    `worked_ns` is the time inside DuckDB; `number` is how many times the statement ran, each time in a transaction of
    its own unless one is open.
    """

    words: tuple[str, ...]
    started_ns: int
    ended_ns: int
    worked_ns: int
    error: BaseException | None = None
    number: int = 1


class Transaction:
    """The transaction of one connection: none, open, or aborted."""

    __slots__ = ("_aborted_ns", "_begun_ns", "_is_of_script", "_rules", "_wrote", "prepared")

    def __init__(self, rules: Rules) -> None:
        """Begin without one."""
        self._rules = rules
        self._begun_ns: int | None = None
        self._aborted_ns: int | None = None
        self._wrote = False
        self._is_of_script = False
        """Whether it was begun in a script that failed: that may not have come to the BEGIN, or got past the COMMIT."""
        self.prepared: dict[str, bool] = {}
        """Whether each statement that was prepared on the connection changes the database, by its name."""

    @property
    def begun_ns(self) -> int | None:
        """When the open one began, by `time.perf_counter_ns()`; None where none is open."""
        return self._begun_ns

    @property
    def is_open(self) -> bool:
        """Whether one is open, aborted or not."""
        return self._begun_ns is not None

    @property
    def is_aborted(self) -> bool:
        """Whether one is open that can only be rolled back."""
        return self._aborted_ns is not None

    def finished(self, step: Step) -> Iterable[Outcome]:
        """Take note of a call, and return the transactions it ended."""
        if step.error is None:
            return list(self._succeeded(step))
        return list(self._failed(step, step.error))

    def closed(self, now_ns: int) -> Iterable[Outcome]:
        """Take note that the connection is gone: DuckDB rolls an open transaction back."""
        return list(self._end(self._lost(), now_ns))

    def _lost(self) -> bool | None:
        """The outcome if nothing of the open transaction is kept."""
        return False if self._wrote else None

    def _succeeded(self, step: Step) -> Iterator[Outcome]:
        for word in step.words:
            yield from self._apply(word, step)

    def _apply(self, word: str, step: Step) -> Iterator[Outcome]:
        if word == BEGIN:
            if self._is_over(step):
                yield from self._end(self._lost(), step.started_ns)
            self._begun_ns = step.started_ns
            self._aborted_ns = None
            self._wrote = self._is_of_script = False
        elif word == COMMIT:
            yield from self._end(self._lost() if self.is_aborted else True, step.ended_ns)
        elif word == ROLLBACK:
            yield from self._end(self._lost(), step.ended_ns)
        else:
            if self._is_over(step):
                yield from self._end(self._lost(), step.started_ns)
            elif self._aborted_ns is not None and step.started_ns > self._aborted_ns:
                self._aborted_ns = None  # it was not aborted after all: it would have refused
            if word == WRITE and self.is_open:
                self._wrote = True
            elif word == WRITE:
                yield Outcome(True, step.worked_ns / 1e6, step.number)

    def _is_over(self, step: Step) -> bool:
        """Whether what has succeeded shows that none is open any more, for an aborted one would have refused."""
        return self._is_of_script and self._aborted_ns is not None and step.started_ns > self._aborted_ns

    def _failed(self, step: Step, error: BaseException) -> Iterator[Outcome]:
        if len(step.words) > 1:
            yield from self._up_to_the_failure(step, error)
        effect = self._rules.effect(error)
        tried_to_write = WRITE in step.words and self._rules.reached(error)
        self._wrote = self._wrote or tried_to_write
        if not self.is_open:
            if tried_to_write:
                yield Outcome(False, step.worked_ns / 1e6)
        elif effect is Effect.ENDS:
            yield from self._end(False, step.ended_ns)
        elif effect is Effect.ABORTS and self._aborted_ns is None:
            self._aborted_ns = step.ended_ns

    def _up_to_the_failure(self, step: Step, error: BaseException) -> Iterator[Outcome]:
        """Apply the words of a script up to the one that failed.

        DuckDB does not say which one did: it is taken to be the first that is no BEGIN after the last BEGIN, unless the
        error is one of a COMMIT. On DuckDB 1 a script that cannot be parsed does not run at all.
        """
        if BEGIN not in step.words or (
            type(error).__name__ == "ParserException" and self._rules.effect(error) is Effect.NONE
        ):
            return
        last = len(step.words) - step.words[::-1].index(BEGIN)
        for word in step.words[:last]:
            yield from self._apply(word, step)
        self._is_of_script = True

    def _end(self, success: bool | None, now_ns: int) -> Iterator[Outcome]:
        if self._begun_ns is not None:
            yield Outcome(success, (now_ns - self._begun_ns) / 1e6)
        self._begun_ns = self._aborted_ns = None
