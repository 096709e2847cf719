"""What the SDK's declarative file (OTEL_CONFIG_FILE) says of this instrumentation.

The SDK instruments what the file names, and logs what it refuses. `opentelemetry-instrument` then instruments all that
is installed, without a look at the file: what the file has switched off, or what was refused in it, must stay off.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE: Final = "OTEL_CONFIG_FILE"
_NAME: Final = "duckdb"
_MARKS: Final = frozenset({"skip_dep_check", "raise_exception_on_conflict"})
"""Arguments of `instrument()` of which `opentelemetry-instrument` gives one, and no other."""


def is_automatic(options: Mapping[str, Any]) -> bool:
    """Whether `opentelemetry-instrument` calls, in a program that is configured by a file."""
    return bool(os.environ.get(_VARIABLE)) and bool(options) and options.keys() <= _MARKS


def is_named() -> bool:
    """Whether the file has a section for this instrumentation."""
    try:
        from opentelemetry.configuration import (  # noqa: PLC0415 - most programs have no such file
            load_config_file,
        )
    except ImportError:  # the SDK of this line reads no such file
        return False
    named = load_config_file(os.environ[_VARIABLE]).instrumentation_development
    return named is not None and _NAME in (named.python or {})
