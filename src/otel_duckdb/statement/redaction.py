"""What of a SQL text may be shown: without any literal, or without its secrets only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from otel_duckdb.statement.scanner import COMMENTS, is_name, is_open

if TYPE_CHECKING:
    from collections.abc import Iterable

HIDDEN: Final = "?"

_PLAIN = frozenset("acdghijklmnopqrsuvwyzACDGHIJKLMNOPQRSUVWYZ_(),;=*<>+[]{}:%|!?")
"""First characters of tokens that are never literals, comments or quoted names."""
_DIGITS_AND_QUOTE = frozenset("'0123456789")
_BOOLEANS = frozenset({"TRUE", "FALSE"})

_file_name = re.compile(
    r'://|^"(?:[./~\\]|[A-Za-z]:[\\/])|\.(?:parquet|[ct]sv|json|jsonl|ndjson|geojson|xlsx?|arrow|feather|avro|db|duckdb|gz|zst)"$'
).search
_sub_list = re.compile(r"([(\[]\s*)\?(?:\s*,\s*\?)+(\s*[)\]])").sub
_CALL = r"\([^()]*(?:\([^()]*\)[^()]*)*\)"
_TUPLE = rf"\([^()]*(?:{_CALL}[^()]*)*\)"
_sub_tuples = re.compile(rf"(?i:(\bvalues\s*{_TUPLE})(?:\s*,\s*{_TUPLE})+)").sub
_sub_sign = re.compile(r"([(,=<>\[:]\s*)[-+]\?").sub
_ends_with_in = re.compile(r"(?i)\bin\s*\Z").search
_sub_gap = re.compile(r"[ \t]*\n\s*|[ \t]{2,}").sub

_SENSITIVE_STATEMENTS = frozenset({"ATTACH", "SET", "PRAGMA", "CALL", "LOAD", "OTHER"})
_SENSITIVE = (
    *("secret", "passw", "pwd", "token", "credential", "encrypt", "authori", "bearer", "signature", "private"),
    *("api_key", "apikey", "access_key", "accesskey", "account_key", "accountkey", "key_id", "keyid", "parquet_key"),
    *("footer_key", "column_key", "connection_string", "conninfo", "cookie", "-----begin", "header"),
)
"""Words that tell that a secret may stand beside them, lower case."""
_MARKS = ("eyj", "akia", "asia", "ghp_", "gho_", "ghs_", "ghu_", "sk-", "xox")
"""How well-known tokens begin, lower case."""
_SUSPECT = ("://", "@", *_MARKS, *_SENSITIVE)


def masked(token: str) -> str:
    """What the redacted text shows in a token's place."""
    first = token[0]
    if first.isalpha():
        is_literal = token[1:2] == "'" or (first in "tTfF" and token.upper() in _BOOLEANS)
        return HIDDEN if is_literal else token
    if first in _DIGITS_AND_QUOTE:
        return HIDDEN
    if first == "$":
        return HIDDEN if "$" in token[1:] else token
    if first == '"':
        return HIDDEN if is_open(token) or _file_name(token) else token
    if token[:2] in COMMENTS:
        return " "
    return HIDDEN if first == "." and len(token) > 1 else token


def mask(tokens: Iterable[str]) -> list[str]:
    """The tokens with `?` for each literal and a space for each comment."""
    return [token if token[0] in _PLAIN else masked(token) for token in tokens]


def tidy(text: str, has_comments: bool) -> str:
    """A masked text with its lists and its rows of values shortened to one, signs hidden, and comments' gaps closed."""
    if "-?" in text or "+?" in text:
        text = _sub_sign(r"\1?", text)
    if "?," in text or "? ," in text:
        text = _sub_list(_one_of_list, text)
    if "values" in text.lower():
        text = _sub_tuples(r"\1", text)
    return _sub_gap(_gap, text).strip() if has_comments else text.strip()


def _one_of_list(match: re.Match[str]) -> str:
    before, after = match.groups()
    is_list = before[0] == "[" or _ends_with_in(match.string[max(0, match.start() - 40) : match.start()])
    return f"{before}?{after}" if is_list else match.group()


def _gap(match: re.Match[str]) -> str:
    return "\n" if "\n" in match.group() else " "


def is_suspect(text: str) -> bool:
    """Whether a text may hold a secret that its kind of statement does not tell of."""
    return _has_any(text.lower(), _SUSPECT)


def _has_any(text: str, words: tuple[str, ...]) -> bool:
    for word in words:  # noqa: SIM110 - a generator takes twice as long
        if word in text:
            return True
    return False


def hide_secrets(tokens: list[str], kind: str) -> list[str]:
    """One statement's tokens with `?` for what is or may be secret, comments included."""
    if kind in _SENSITIVE_STATEMENTS or _is_sensitive(tokens):
        return hide_values(mask(tokens), kind)
    return [_without_secret(token) for token in tokens]


def _without_secret(token: str) -> str:
    if token[0] != '"' and is_name(token):
        return token
    if is_open(token) or _holds_secret(token):
        return " " if token[:2] in COMMENTS else HIDDEN
    return token


def _holds_secret(token: str) -> bool:
    """Whether a string, name or comment holds an address with a user or a query in it, or a well-known token."""
    if "://" in token and _has_any(token, ("@", "?", "&", ";", "=")):
        return True
    if "@" in token and ":" in token[: token.rindex("@")]:
        return True
    return _has_any(token.lower(), _MARKS)


def hide_values(tokens: list[str], kind: str) -> list[str]:
    """Masked tokens of one statement, without what it gives as bare or double-quoted words where secrets may stand."""
    if kind not in _KINDS_WITH_BARE_VALUES:
        return tokens
    words = [token.upper() for token in tokens]
    if kind in ("SET", "PRAGMA"):
        return tokens if "VARIABLE" in words[:4] else _hide_names(tokens, _position(words, ("=", "TO")))
    if kind == "ATTACH":
        return _hide_names(tokens, _position(words, ("(",)), quoted_before=True)
    if kind in ("COPY", "EXPORT"):
        return _hide_options(tokens, words)
    return _hide_names(tokens, _position(words, ("(",))) if _is_of_secret(words) else tokens


_KINDS_WITH_BARE_VALUES = frozenset({"SET", "PRAGMA", "ATTACH", "COPY", "EXPORT", "CREATE", "ALTER", "OTHER"})


def _is_of_secret(words: list[str]) -> bool:
    return "SECRET" in words and not {"TABLE", "VIEW"} & set(words[: words.index("SECRET")])


def _hide_options(tokens: list[str], words: list[str]) -> list[str]:
    """The options of COPY in the brackets after its file, if one of them is sensitive."""
    depth = 0
    has_file = False
    for index, word in enumerate(words):
        if word == "(" and depth == 0 and has_file:
            return _hide_names(tokens, index) if _is_sensitive(words[index:]) else tokens
        depth += (word == "(") - (word == ")")
        has_file = has_file or (depth == 0 and word in ("TO", "FROM", "DATABASE"))
    return tokens


def _is_sensitive(tokens: list[str]) -> bool:
    return _has_any(" ".join(tokens).lower(), _SENSITIVE)


def _position(words: list[str], marks: tuple[str, ...]) -> int:
    return next((index for index, word in enumerate(words) if word in marks), len(words))


def _hide_names(tokens: list[str], start: int, quoted_before: bool = False) -> list[str]:
    """Names hidden from a position on; before it only quoted ones, where a path may be quoted so."""
    head = [HIDDEN if quoted_before and token[0] == '"' else token for token in tokens[:start]]
    return head + [HIDDEN if is_name(token) else token for token in tokens[start:]]
