"""What the SDK's declarative file (OTEL_CONFIG_FILE) says of this instrumentation.

The SDK instruments what the file names, and logs what it refuses. `opentelemetry-instrument` then instruments all that
is installed, without a look at the file: what the file has switched off, or what was refused in it, must stay off.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.settings import boolean

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE: Final = "OTEL_CONFIG_FILE"
_NAME: Final = "duckdb"
_MARKS: Final = frozenset({"skip_dep_check", "raise_exception_on_conflict"})
"""Arguments of `instrument()` of which `opentelemetry-instrument` gives one, and no other."""


def is_settled(options: Mapping[str, Any], is_instrumented: bool) -> bool:
    """Whether the file has had its say, so that a call of `instrument()` with these options must change nothing.

    Raises:
        SettingError: the section's `enabled` is a text that is neither true nor false.
        opentelemetry.configuration.ConfigurationError: `opentelemetry-instrument` calls, and the file cannot be read.
    """
    path = os.environ.get(_VARIABLE)
    if not path:
        return False
    is_automatic = bool(options) and options.keys() <= _MARKS
    if is_automatic and is_instrumented:
        return True
    try:
        section = _section(path)
    except Exception:
        if is_automatic:
            raise
        return False
    if section is None:
        return False
    if is_automatic:  # a section of the marks alone makes the SDK's call look like this one, which comes later
        return not (section and section.keys() <= _MARKS)
    enabled = section.get("enabled")
    return isinstance(enabled, str) and not boolean("enabled", enabled)  # the SDK takes any text for true


@lru_cache(1)
def _section(path: str) -> Mapping[str, Any] | None:
    """What the file says of this instrumentation; None where it says nothing."""
    try:
        from opentelemetry.configuration import (  # noqa: PLC0415 - most programs have no such file
            load_config_file,
        )
    except ImportError:  # the SDK of this line reads no such file
        return None
    named = load_config_file(path).instrumentation_development
    found: Mapping[str, Any] | None = None if named is None else (named.python or {}).get(_NAME)
    return found
