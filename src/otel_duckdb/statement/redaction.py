"""What of a SQL text may be shown: without any literal, or without its secrets only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from otel_duckdb.statement.options import hide_option_values
from otel_duckdb.statement.scanner import COMMENTS, LOOK_ALIKES, QUOTES_OF_NAMES, is_file_name, is_name, is_open
from otel_duckdb.statement.text import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Iterable

_PLAIN = frozenset("acdghijklmnopqrsuvwyzACDGHIJKLMNOPQRSUVWYZ_(),;=*<>+[]{}:%|!?")
"""First characters of tokens that are never literals, comments or quoted names."""
_DIGITS_AND_QUOTE = frozenset("'0123456789")
_BEFORE_VALUE = frozenset(
    {"=", "<", ">", "(", ",", "LIKE", "ILIKE", "BETWEEN", "AND", "OR", "THEN", "ELSE", "SELECT", "|"}
)
_BOOLEANS = frozenset({"TRUE", "FALSE"})

_is_plain_name = re.compile(r"`[^\W\d][\w $.:-]*`").fullmatch
"""Whether a name in backquotes is no literal between two operators of DuckDB 1."""
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
    *("footer_key", "column_key", "connection_string", "conninfo", "cookie", "-----begin", "http_header", "headers"),
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
    if first in _DIGITS_AND_QUOTE or first in LOOK_ALIKES:
        return HIDDEN
    if first == "$":
        return HIDDEN if "$" in token[1:] else token
    if first in QUOTES_OF_NAMES:
        is_literal = is_open(token) or (first == "`" and not _is_plain_name(token))
        return HIDDEN if is_literal or is_file_name(token) else token
    if token[:2] in COMMENTS:
        return " "
    return HIDDEN if first == "." and len(token) > 1 else token


def mask(tokens: Iterable[str]) -> list[str]:
    """The tokens with `?` for each literal and a space for each comment."""
    return [token if token[0] in _PLAIN else masked(token) for token in tokens]


def hide_values_in_quotes_of_names(tokens: list[str]) -> list[str]:
    """Masked tokens with `?` for each name that holds an apostrophe and stands where a value may.

    Python's `repr` of a text with an apostrophe has the quotes of a name, and so has much that was written for MySQL.
    """
    return [
        HIDDEN if token[0] == '"' and "'" in token and before.upper() in _BEFORE_VALUE else token
        for before, token in zip(["", *tokens], tokens, strict=False)
    ]


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
    if is_sensitive(tokens, kind):
        return hide_values(mask(tokens), kind)
    return [_without_secret(token) for token in tokens]


def is_sensitive(tokens: list[str], kind: str) -> bool:
    """Whether a statement is of a kind that may hold a secret, or speaks of one outside its comments."""
    return kind in _SENSITIVE_STATEMENTS or speaks_of_secret(
        " ".join([token for token in tokens if token[:2] not in COMMENTS])
    )


def speaks_of_secret(text: str) -> bool:
    """Whether a text has a word that tells of a secret beside it."""
    return _has_any(text.lower(), _SENSITIVE)


def _without_secret(token: str) -> str:
    if token[0] not in QUOTES_OF_NAMES and is_name(token):
        return token
    if token[:2] in COMMENTS:
        return " " if is_open(token) or holds_secret(token) or speaks_of_secret(token) else token
    return HIDDEN if is_open(token) or holds_secret(token) else token


def holds_secret(text: str) -> bool:
    """Whether a string, name or comment holds an address with a user or a query in it, or a well-known token."""
    if "://" in text and _has_any(text, ("@", "?", "&", ";", "=")):
        return True
    if "@" in text and ":" in text[: text.rindex("@")]:
        return True
    return _has_any(text.lower(), _MARKS)


def hide_values(tokens: list[str], kind: str) -> list[str]:
    """Masked tokens of one statement, without what it gives as bare or double-quoted words where secrets may stand."""
    hide = _HIDING.get(kind)
    return tokens if hide is None else hide(tokens, [token.upper() for token in tokens])


def _of_setting(tokens: list[str], words: list[str]) -> list[str]:
    speaks = speaks_of_secret(" ".join(tokens))
    if "VARIABLE" in words[:4] and not speaks:
        return tokens
    start = _position(words, ("=", "TO", "(") if speaks else ("=", "TO"))
    return tokens[:start] + _without_names(tokens[start:])


def _of_call(tokens: list[str], words: list[str]) -> list[str]:
    return hide_option_values(tokens, _position(words, ("(",))) if speaks_of_secret(" ".join(tokens)) else tokens


def _of_attach(tokens: list[str], words: list[str]) -> list[str]:
    start = words.index("ATTACH") if "ATTACH" in words else 0
    options = start + _position(words[start:], ("(",))
    path = [HIDDEN if token[0] in QUOTES_OF_NAMES else token for token in tokens[:options]]
    return hide_option_values(path + tokens[options:], options, all_lists=True)


def _of_copy(tokens: list[str], words: list[str]) -> list[str]:
    """COPY and EXPORT: the file after TO or FROM, and the options in the brackets behind it."""
    depth = 0
    file = -1
    for index, word in enumerate(words):
        if word == "(" and depth == 0 and -1 < file < index - 1:
            return hide_option_values(tokens, index)
        depth += (word == "(") - (word == ")")
        if depth == 0 and file < 0 and word in ("TO", "FROM", "DATABASE") and words[index - 1] != ".":
            file = index
            if word != "DATABASE" and words[index + 1 : index + 2] != ["DATABASE"]:
                tokens = _without_file(tokens, words, index + 1)
    return tokens


def _without_file(tokens: list[str], words: list[str], index: int) -> list[str]:
    end = index + 1
    while words[end : end + 1] == ["."]:
        end += 2
    if words[index : index + 1] in (["STDIN"], ["STDOUT"]):
        return tokens
    return tokens[:index] + _without_names(tokens[index:end]) + tokens[end:]


def _of_definition(tokens: list[str], words: list[str]) -> list[str]:
    """CREATE and ALTER: the options of a secret or a resource, and those in the brackets after WITH or SET."""
    if _is_of_secret(words) or "EXTERNAL RESOURCE" in " ".join([word for word in words if word.strip()]):
        start = _position(words, ("SECRET", "RESOURCE"))
        return hide_option_values(tokens, start, all_lists=True)
    for index, word in enumerate(words[:-1]):
        if word in ("WITH", "SET") and words[index + 1] == "(":
            return hide_option_values(tokens, index + 1)
    return tokens


def _is_of_secret(words: list[str]) -> bool:
    return "SECRET" in words and not {"TABLE", "VIEW"} & set(words[: words.index("SECRET")])


def _of_unknown(tokens: list[str], words: list[str]) -> list[str]:
    """A statement that is not known: every list in brackets may be one of options."""
    return hide_option_values(tokens, _position(words, ("(",)), all_lists=True)


_HIDING = {
    "SET": _of_setting,
    "PRAGMA": _of_setting,
    "CALL": _of_call,
    "ATTACH": _of_attach,
    "COPY": _of_copy,
    "EXPORT": _of_copy,
    "CREATE": _of_definition,
    "ALTER": _of_definition,
    "OTHER": _of_unknown,
}


def _position(words: list[str], marks: tuple[str, ...]) -> int:
    return next((index for index, word in enumerate(words) if word in marks), len(words))


def _without_names(tokens: list[str]) -> list[str]:
    return [HIDDEN if is_name(token) else token for token in tokens]
