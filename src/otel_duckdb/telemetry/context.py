"""OpenTelemetry's current context, which each query asks for and changes several times.

The API's functions lead through two Python frames each to a context variable; here is the variable itself, unless the
program has chosen another way to keep the context.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from opentelemetry import context as api
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace import INVALID_SPAN, set_span_in_context

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

    from opentelemetry.context import Context

get_current: Callable[[], Context] = api.get_current
attach: Callable[[Context], Token[Context]] = api.attach
detach: Callable[[Token[Context]], None] = api.detach
"""May raise where the API's own writes to the log."""

_runtime: Final = getattr(api, "_RUNTIME_CONTEXT", None)
_variable: Final = getattr(_runtime, "_current_context", None)
if type(_runtime) is ContextVarsRuntimeContext and isinstance(_variable, ContextVar):
    get_current, attach, detach = _variable.get, _variable.set, _variable.reset

SPAN: Final = next(iter(set_span_in_context(INVALID_SPAN, api.Context())))
"""The key of a context under which its span stands."""
