"""Regular expressions that people give, matched by DuckDB's RE2: no expression can hold the thread that matches it.

Python's own `re` needs time that doubles with each character for an expression such as `(a+)+$`. RE2, which Prometheus
and Alertmanager use too, needs time in proportion to the text.
"""

from __future__ import annotations

import inspect
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.core.methods import Methods
from otel_duckdb.settings import SettingError
from otel_duckdb.text import encodable, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    Pair = tuple[str, str]

ANY: Final = ".*"
_KEPT: Final = 10_000
"""Answers that are remembered."""
_MATCH: Final = """
    select regexp_full_match(text, expression, 's')
    from (select unnest($1::varchar[]) as expression, unnest($2::varchar[]) as text)
"""
_is_plain: Final = re.compile(r"\w*").fullmatch
_halves: Final = re.compile("[\ud800-\udfff]")


class Expressions:
    """Answers whether texts match expressions, each in whole; from any thread."""

    def __init__(self) -> None:
        self._known: dict[Pair, bool] = {}

    def check(self, expression: str) -> None:
        """Refuse what is no expression.

        Raises:
            SettingError: RE2 does not take it.
        """
        import duckdb  # noqa: PLC0415 - only a program that uses DuckDB pays for its import

        try:
            self.match([(expression, "")])
        except duckdb.InvalidInputException as error:
            reason = str(error).removeprefix("Invalid Input Error: ")
            raise SettingError(
                f"{printable(expression)!r} is no regular expression of RE2: {printable(reason)}"
            ) from None

    def match(self, pairs: Iterable[Pair]) -> dict[Pair, bool]:
        """For each pair of an expression and a text, whether the text matches in whole.

        Raises:
            duckdb.Error: an expression is none, or DuckDB cannot open a database in memory.
        """
        answers = {pair: _obvious(*pair) for pair in pairs}
        unknown = []
        for pair, answer in answers.items():
            if answer is None:
                answers[pair] = self._known.get(pair)
                if answers[pair] is None:
                    unknown.append(pair)
        if unknown:
            found = dict(zip(unknown, _ask_duckdb(unknown), strict=True))
            answers |= found
            if len(self._known) + len(found) > _KEPT:
                self._known = {}
            self._known |= found
        return {pair: answer is True for pair, answer in answers.items()}


def _obvious(expression: str, text: str) -> bool | None:
    """The answer where it needs no engine, else None."""
    if expression == ANY:
        return True
    return expression == text if _is_plain(expression) else None


def _ask_duckdb(pairs: list[Pair]) -> list[bool]:
    """Match in a database of its own, which is gone afterwards: nothing of it is left to a forked child."""
    import duckdb  # noqa: PLC0415 - only a program that uses DuckDB pays for its import

    kind = duckdb.DuckDBPyConnection
    methods = Methods.of(kind)
    execute: Any = methods.execute
    connect = inspect.unwrap(sys.modules[kind.__module__].connect)  # duckdb.connect may be another's by now
    connection = connect(":memory:", config={"threads": 1})
    try:
        expressions = [_halves.sub(lambda half: "\\" + encodable(half[0]), expression) for expression, _ in pairs]
        execute(connection, _MATCH, [expressions, [encodable(text) for _, text in pairs]])
        return [matches for (matches,) in methods.fetchall(connection)]
    finally:
        methods.close(connection)
