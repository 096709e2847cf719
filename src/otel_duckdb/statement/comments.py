"""Who asks: what dbt and sqlcommenter write into a comment of the SQL text."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from otel_duckdb.statement.text import bounded

if TYPE_CHECKING:
    from collections.abc import Iterable

LENGTH_LIMIT: Final = 8192
"""Characters of a comment that is read; a longer one is not."""
_VALUE_LIMIT: Final = 1024
_PAIR_LIMIT: Final = 64

_PAIR: Final = r"\s*([^\s=,']+)\s*=\s*'((?:[^'\\]|\\.)*)'\s*"
_is_list_of_pairs: Final = re.compile(rf"(?s:{_PAIR}(?:,{_PAIR})*)").fullmatch
_pairs: Final = re.compile(rf"(?s:{_PAIR})").findall
_unescape: Final = re.compile(r"\\(.)", re.DOTALL).sub
_has_secret_word: Final = re.compile(
    r"(?i)(?:passw|pwd|token|secret|api_?-?key|access_?-?key|credential|authoriz|signature|\bsig)[\w-]{0,40}['\"]?\s{0,8}[=:]"
    r"|\bbearer\b|-----begin"
).search
_has_known_token: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:eyJ[\w-]{8}|(?:AKIA|ASIA)[0-9A-Z]{8}|gh[opsu]_\w{6}|github_pat_|sk-\w{6}|xox[a-z]-)"
).search
_is_secret_name: Final = re.compile(r"(?i)passw|pwd|token|secret|api_?key|credential|authoriz|cookie").search


def carried(comments: Iterable[str]) -> dict[str, str]:
    """The values that comments carry, by their keys: of dbt's JSON, and of sqlcommenter's `key='value'` pairs.

    Values are decoded and bounded; what is or may be a secret is left out. Of a key that comes twice the first counts.
    """
    found: dict[str, str] = {}
    for comment in comments:
        if not comment.startswith("/*") or not comment.endswith("*/") or len(comment) > LENGTH_LIMIT:
            continue
        inner = comment[2:-2].strip()
        for key, value in _of_json(inner) if inner.startswith("{") else _of_pairs(inner):
            if len(found) < _PAIR_LIMIT and key and not _is_secret(key, value):
                found.setdefault(key, bounded(value, _VALUE_LIMIT))
    return found


def last_comment(end: str) -> list[str]:
    """The comment that a long text ends with, if it does."""
    end = end.rstrip("; \t\r\n")
    start = end.rfind("/*")
    return [end[start:]] if start >= 0 and end.endswith("*/") else []


def _of_json(text: str) -> Iterable[tuple[str, str]]:
    try:
        members: Any = json.loads(text)
    except (ValueError, RecursionError):
        return []
    scalars = (str, int, float, bool)
    return [(key, _scalar(value)) for key, value in members.items() if isinstance(value, scalars)]


def _scalar(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _of_pairs(text: str) -> Iterable[tuple[str, str]]:
    if "='" not in text.replace(" ", "") or not _is_list_of_pairs(text):
        return []
    return [(unquote(key), unquote(_unescape(r"\1", value))) for key, value in _pairs(text)]


def _is_secret(key: str, value: str) -> bool:
    if _is_secret_name(key) or _has_secret_word(value) or _has_known_token(value):
        return True
    if "://" in value and any(sign in value for sign in "@?&;="):
        return True
    return "@" in value and ":" in value[: value.rindex("@")]
