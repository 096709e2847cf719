"""SQL text cut into tokens by one regular expression.

Every pattern also accepts an end that never comes, so no text fails to match and none makes the expression go back:
whatever follows an unterminated quote or comment is part of its token.
"""

from __future__ import annotations

import re
from typing import Final

_SPACES = r"\x80-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # what \s matches, faster
LOOK_ALIKES: Final = "‘‛‚“‟„´′″＇＂«‹"  # noqa: RUF001 - this is what they are
_CLOSING = "’‘“”´′″＇＂»›"  # noqa: RUF001 - the same
_NAME_START = rf"[^\x00-@\[-^`{{-\x7f{_SPACES}{LOOK_ALIKES}]"
_TAG_NAME = rf"{_NAME_START}[^\x00-/:-@\[-^`{{-\x7f{_SPACES}]*"
_NAME = rf"{_NAME_START}[^\x00-#%-/:-@\[-^`{{-\x7f{_SPACES}]*"
_COMMENT_DEPTH = 6


def _nested_comment(depth: int) -> str:
    """Comments nest in DuckDB; one nested deeper than `depth` hides all that follows it."""
    if depth == 0:
        return r"/\*[\s\S]*"
    return rf"/\*[^*/]*(?:(?:\*(?!/)|/(?!\*)|{_nested_comment(depth - 1)})[^*/]*)*(?:\*/)?"


def _token(tagged: str) -> str:
    return "|".join(
        (
            r"'[^']*(?:''[^']*)*'?",
            r"[eE]'[^'\\]*(?:(?:\\[\s\S]|'')[^'\\]*)*\\?'?",
            r"[xXbB]'[^']*(?:''[^']*)*'?",
            _NAME,
            r'"[^"]*(?:""[^"]*)*"?',
            r"`[^`]*(?:``[^`]*)*`?",  # a name in DuckDB 2, an operator in DuckDB 1
            r"0[xXbBoO][0-9a-fA-F_]+|\.?[0-9][0-9_.]*(?:[eE][+-]?[0-9][0-9_]*)?",
            r"\$\$[^$]*(?:\$(?!\$)[^$]*)*(?:\$\$)?",
            *([tagged] if tagged else []),
            rf"\$(?:[0-9]+|{_TAG_NAME})",
            r"\?[0-9]*",
            r"--[^\n\r]*",
            _nested_comment(_COMMENT_DEPTH),
            rf"[{LOOK_ALIKES}][^{_CLOSING}]*[{_CLOSING}]?",  # quotes of word processors, to DuckDB letters
            r"\S",
        )
    )


_TAG = rf"\$(?P<tag>{_TAG_NAME})\$"
_TAGGED = _TAG + r"[^$]*(?:(?!\$(?P=tag)\$)\$[^$]*)*(?:\$(?P=tag)\$)?"
_has_tag = re.compile(_TAG).search
_split = re.compile(f"({_token('')})").split
_split_tagged = re.compile(f"({_token(_TAGGED)})").split

QUOTES_OF_NAMES: Final = ('"', "`")
COMMENTS: Final = ("--", "/*")


def scan(text: str) -> list[str]:
    """The text as a list that joins to it again: space, token, space, token, …, space."""
    if "$" in text and _has_tag(text):
        parts: list[str] = _split_tagged(text)
        del parts[2::3]
        return parts
    return _split(text)


def is_name(token: str) -> bool:
    """Whether a token is an identifier or a keyword, quoted or not."""
    first = token[:1]
    if first > "\x7f":
        return first not in LOOK_ALIKES
    return first in QUOTES_OF_NAMES or ((first.isalpha() or first == "_") and token[1:2] != "'")


def is_open(token: str) -> bool:
    """Whether a token is a quote or a comment whose end is missing."""
    first = token[:1]
    if first in QUOTES_OF_NAMES:
        return token.count(first) % 2 == 1
    if first == "$":
        return "$" in token[1:] and not _is_closed_dollar(token)
    if first in "eE" and token[1:2] == "'":
        return _closed_escape(token) is None
    if token.startswith("/*"):
        return not token.endswith("*/") or token.count("/*") > token.count("*/")
    return "'" in token[:2] and token.count("'") % 2 == 1


_closed_escape = re.compile(r"[eE]'(?:[^'\\]|\\[\s\S]|'')*'").fullmatch


def _is_closed_dollar(token: str) -> bool:
    tag = token[: token.index("$", 1) + 1]
    return len(token) >= 2 * len(tag) and token.endswith(tag)


_has_file_pattern = re.compile(
    r"""(?isx) :// | ^["`](?: [./~\\] | [a-z]:[\\/] )
    | ^["`](?: postgres(?:ql)? | mysql | sqlite | odbc | jdbc | md | motherduck | ducklake | quack | iceberg | delta
        | file | s3[an]? | gcs? | gs | r2 | az | azure | abfss? | hf | https? ):
    | \b(?: password | passwd | pwd | host | hostaddr | dbname | user )\s?=
    | \.(?: parquet | [ct]sv | psv | txt | json | jsonl | ndjson | geojson | xlsx? | arrows? | feather | ipc | avro
        | orc | db | ddb | duckdb_extension | duckdb | sqlite3? | shp | gpkg | vortex | lance | xml | ya?ml | log | dat
        | gz | gzip | zst | zstd | bz2 | xz | lz4 | zip | tar | tgz )(?: [/\\?#].* )?["`]$"""
).search


def is_file_name(name: str) -> bool:
    """Whether a name in quotes is one of a file, or an address: DuckDB reads those from names, too."""
    return (
        _has_file_pattern(name) is not None
        or ("/" in name and "*" in name)
        or ("?" in name and "=" in name[name.index("?") :])
    )


def unquote(name: str) -> str:
    """An identifier without its quotes."""
    quote = name[:1]
    return name[1:-1].replace(quote * 2, quote) if quote in QUOTES_OF_NAMES else name
