"""What may be told of an exception: its class, where it came from, and its message without the user's values."""

from __future__ import annotations

import re
import traceback
from itertools import islice
from pathlib import Path
from typing import Final

from otel_duckdb.core.operation import StreamError
from otel_duckdb.error_messages import HIDDEN, bounded, redact
from otel_duckdb.error_messages.kinds import CLASSES, split_kind

_WRAPPED: Final = "Invalid Input Error: Attempting to "
_WRAPPED_ERROR: Final = "\nError: "
_USER_OF_ADDRESS: Final = re.compile(r"(?<=://)[^/\s@]+@")
_OURS: Final = str(Path(__file__).parents[1])
_FRAMES: Final = 100
_STACKTRACE_LIMIT: Final = 32_768


def error_type(error: BaseException) -> str:
    """Return the class of the error; of one that DuckDB 1.x wrapped at a fetch, the class of what it wraps."""
    name = type(error).__qualname__
    if name == "InvalidInputException":
        return _wrapped_class(_text(error)) or name
    if isinstance(error, StreamError):
        return CLASSES.get(split_kind(_text(error))[0], "Error")
    return name


def _wrapped_class(message: str) -> str:
    if not message.startswith(_WRAPPED):
        return ""
    kind, _ = split_kind(bounded(message).partition(_WRAPPED_ERROR)[2])
    return CLASSES.get(kind, "")


def qualified_type(error: BaseException) -> str:
    """Return the class that was raised with its module; of a stream's failure, the class its text tells of."""
    if isinstance(error, StreamError):
        return f"duckdb.{error_type(error)}"
    module = type(error).__module__
    return type(error).__qualname__ if module == "builtins" else f"{module}.{type(error).__qualname__}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # an exception of the user's may have any `__str__`
        return ""


def safe_message(error: BaseException, statement: str = "") -> str:
    """Return the error's message with `?` for all that may be a value: DuckDB quotes values of the query and its data.

    Args:
        error: The exception.
        statement: The redacted text of the statement that failed; the names in it stay in the message.

    Returns:
        The message; the class alone where the message is none of DuckDB's.
    """
    message = redact(_text(error), statement)
    return error_type(error) if message == HIDDEN else message


def raw_message(error: BaseException) -> str:
    """Return the error's message with its values, without the users and passwords of its addresses."""
    return without_passwords(bounded(_text(error)))


def raw_stacktrace(error: BaseException) -> str:
    """Return the whole traceback, with source lines and values, without the users and passwords of its addresses."""
    return without_passwords(bounded("".join(traceback.format_exception(error)), _STACKTRACE_LIMIT))


def without_passwords(text: str) -> str:
    """Return a text that may be shown with its literals, without the users and passwords of its addresses."""
    return _USER_OF_ADDRESS.sub("?@", text)


def safe_stacktrace(error: BaseException, message: str) -> str:
    """Return the calls that led to the error and its message that may be told.

    It has neither source lines, which may hold literals, nor our frames, nor the errors that led to this one.
    """
    frames = traceback.StackSummary.extract(islice(traceback.walk_stack(None), _FRAMES), lookup_lines=False)
    places = [
        f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}\n'
        for frame in reversed(frames)
        if not frame.filename.startswith(_OURS)
    ]
    last = f"{qualified_type(error)}: {message}\n"
    return "".join(["Traceback (most recent call last):\n", *places, last])
