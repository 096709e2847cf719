"""What may be told of an exception: its class and its message without the user's values."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import Final

from otel_duckdb.core.operation import StreamError

_WRAPPED: Final = re.compile(r"^Error: (\w[\w ]*?) Error: ", re.MULTILINE)
_KIND: Final = re.compile(r"(\w[\w ]*?) Error: ")
_EXCERPT: Final = re.compile(r"\n+\s*LINE \d+:.*", re.DOTALL)
_SINGLE_QUOTED: Final = re.compile(r"'(?:[^']|'')*'?")
_DOUBLE_QUOTED: Final = re.compile(r'"(?:[^"]|"")*"?')
_NUMBER: Final = re.compile(r"(?<![\w.])[-+]?\d[\w.+-]*")
_ADDRESS: Final = re.compile(r"\b[a-zA-Z][\w+.-]*://\S+")
_USER_OF_ADDRESS: Final = re.compile(r"(?<=://)[^/\s@]+@")
_FREE_TEXT: Final = re.compile(
    r"Invalid Input Error: (?!Attempting to execute|Values were not provided)(.*)", re.DOTALL
)
_FUNCTION: Final = re.compile(r"Python exception occurred while executing the UDF: \w+")
_NAMES_ONLY: Final = ("Catalog Error", "Binder Error", "Dependency Error", "TransactionContext Error")
_OURS: Final = str(Path(__file__).parents[1])
_CLASSES: Final = {
    "Invalid Input": "InvalidInputException",
    "Not implemented": "NotImplementedException",
    "Out of Memory": "OutOfMemoryException",
    "Out of Range": "OutOfRangeException",
    "Mismatch Type": "TypeMismatchException",
    "TransactionContext": "TransactionException",
    "INTERNAL": "InternalException",
    "INTERRUPT": "InterruptException",
    "FATAL": "FatalException",
    "IO": "IOException",
    "HTTP": "HTTPException",
}


def error_type(error: BaseException) -> str:
    """Return the class of the error; of one that DuckDB 1.x wrapped at a fetch, the class of what it wraps."""
    name = type(error).__qualname__
    if name == "InvalidInputException":
        return _class_named(_WRAPPED.search(str(error))) or name
    if isinstance(error, StreamError):
        return _class_named(_KIND.match(str(error))) or "Error"
    return name


def qualified_type(error: BaseException) -> str:
    """Return the class that was raised with its module; of a stream's failure, the class its text tells of."""
    if isinstance(error, StreamError):
        return f"duckdb.{error_type(error)}"
    module = type(error).__module__
    return type(error).__qualname__ if module == "builtins" else f"{module}.{type(error).__qualname__}"


def _class_named(kind: re.Match[str] | None) -> str:
    return "" if kind is None else _CLASSES.get(kind[1], kind[1].replace(" ", "") + "Exception")


def safe_message(error: BaseException) -> str:
    """Return the error's message without literals: DuckDB quotes values of the query and of its data.

    Identifiers in double quotes stay where DuckDB uses them for names alone: in catalog and binder errors.
    """
    message = _ADDRESS.sub("?", _EXCERPT.sub("", str(error)))
    message = _FREE_TEXT.sub(_without_free_text, message)
    message = _SINGLE_QUOTED.sub("?", message)
    if not message.startswith(_NAMES_ONLY):
        message = _DOUBLE_QUOTED.sub("?", message)
    return _NUMBER.sub("?", message)


def _without_free_text(found: re.Match[str]) -> str:
    """The kind alone: `error()` and functions of the user put any text of theirs into such an error."""
    function = _FUNCTION.match(found[1])
    return f"Invalid Input Error: {function[0] if function else '?'}"


def without_passwords(text: str) -> str:
    """Return a text that may be shown with its literals, without the users and passwords of its addresses."""
    return _USER_OF_ADDRESS.sub("?@", text)


def safe_stacktrace(error: BaseException) -> str:
    """Return the calls that led to the error, without source lines, which may hold literals, and without our frames."""
    frames = traceback.StackSummary.extract(traceback.walk_stack(None), lookup_lines=False)
    places = [
        f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}\n'
        for frame in reversed(frames)
        if not frame.filename.startswith(_OURS)
    ]
    last = f"{qualified_type(error)}: {safe_message(error)}\n"
    return "".join(["Traceback (most recent call last):\n", *places, last])
