"""Texts of others, made fit for a log, a span and a terminal: in one line, without values, passwords and escapes."""

from __future__ import annotations

import base64
import re
import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.error_messages import redact
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

TOO_MANY_PARTITIONS: Final = "Too many partitions for single INSERT block"
"""What ClickHouse says of a batch for more partitions than it allows, with the code of a fault that passes."""
_LONGEST: Final = 500
_VALUES: Final = re.compile(
    r"(Column values:|While (?:executing|reading|parsing)|\(?at row \d+\)?:|: ?Row \d+:|before:|\bexpected|near:?|"
    r"String:|got:|Data:|value:).*?(?=\([A-Z][A-Z0-9_]{3,}\)|$)",
    re.IGNORECASE | re.DOTALL,
)
"""Where ClickHouse begins to quote the data; its name of the error, in brackets, comes after."""
_QUOTED: Final = re.compile(r"'(?:[^'\\]|\\.)*'")
_VERSION: Final = re.compile(
    r"\s*\(version (?:[^()]|\([^()]*\))*\)|\s*\(?for url \S+|, server response:|HTTPDriver|\s*Stack trace:.*", re.DOTALL
)
_NUMBER: Final = re.compile(r"(?<![\w.])(?<!HTTP status )-?\d[\d.]*(?:e[+-]?\d+)?(?![\w.])")
_CODE: Final = re.compile(r"Code: ?\d+\.?")


_secrets: Final[set[str]] = set()


def keep_secret(username: str, password: str) -> None:
    """Leave a login out of all that servers say: a proxy may echo what was sent to it."""
    if password:
        pair = f"{username}:{password}".encode(errors="surrogateescape")
        _secrets.update((printable(password), base64.b64encode(pair).decode()))


def server_words(text: str) -> str:
    """What ClickHouse said, without what it quotes of the data: the code, the cause and its name stay."""
    line = _VERSION.sub("", printable(text))
    for secret in _secrets:
        line = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "?", line)
    code = _CODE.search(line)
    rest = line[code.end() :] if code else line
    rest = _QUOTED.sub("'?'", _VALUES.sub("", rest))
    rest = _NUMBER.sub("?", rest).replace("DB::Exception:", "").replace("DB::NetException:", "")
    return " ".join(f"{code.group().rstrip('.') + ':' if code else ''} {rest}".split()).rstrip(": ")[:_LONGEST]


def safe_words(error: BaseException) -> str:
    """An error's text without what it quotes, which may be values of the data."""
    duckdb = sys.modules.get("duckdb")  # trace_sync is to import nothing; who has an error of DuckDB's, has DuckDB
    if duckdb is not None and isinstance(error, duckdb.Error):
        return printable(redact(str(error), ""))
    return server_words(str(error))


def cause(error: BaseException, seconds: float) -> str:
    """Why a target does not answer, in words of ours; `seconds` is how long it was waited for."""
    for one in _chain(error):
        for kind, words in _CAUSES.items():
            if isinstance(one, kind):
                return words(one, seconds)
    if TOO_MANY_PARTITIONS in str(error):
        return (
            "the batch goes to more partitions than one insert may; allow it in the target's settings, as in "
            "`settings = {max_partitions_per_insert_block = 1000}`"
        )
    return server_words(str(error)) or type(error).__qualname__


_CAUSES: Final[dict[type[BaseException], Callable[[Any, float], str]]] = {
    ssl.SSLCertVerificationError: lambda error, _: f"its TLS certificate is not accepted ({error.verify_message})",
    ssl.SSLError: lambda error, _: f"TLS failed ({error.reason or 'no reason given'}); does the port speak it?",
    socket.gaierror: lambda *_: "its name is not known to the resolver",
    ConnectionRefusedError: lambda *_: "the connection was refused; does it listen there?",
    TimeoutError: lambda _, seconds: f"there was no whole answer within {seconds:g} s",
    ConnectionError: lambda *_: "the connection was broken",
}


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        inner = getattr(error, "reason", None)
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
    return found
