"""Whether nobody would hear of a call, whatever the call is: then it passes without a hook of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.metrics import _internal as metrics_api

try:
    from otel_duckdb.intercept import _wrapper
except ImportError:
    _wrapper = None  # type: ignore[assignment] # not compiled: closures stand everywhere

if TYPE_CHECKING:
    from otel_duckdb.intercept._wrapper import Wrapper

PROVIDERS: Final[tuple[tuple[dict[str, Any], str], ...]] = (
    (vars(trace), "_TRACER_PROVIDER"),
    (vars(metrics_api), "_METER_PROVIDER"),
)
"""Where what an SDK sets up stands, and None before; the public getters read the environment each time."""


def no_sdk() -> bool:
    """Whether no SDK is set up for the process."""
    return trace._TRACER_PROVIDER is None and metrics_api._METER_PROVIDER is None


class Dormancy:
    """From the start until an SDK is found or somebody listens: no operation can be open, so no call can belong to one.

    It does not come back once it has ended, for by then operations may be open that a call goes on with.

    Attributes:
        lasts: Whether it has not ended yet; an SDK that was set up since is found by the next call that may begin
            something.
    """

    def __init__(self, *, dormant: bool) -> None:
        self.lasts = dormant
        self._asleep: list[Wrapper] = []

    def add(self, wrapper: Wrapper) -> None:
        """Wake this wrapper at the end, at once if that has come by now."""
        self._asleep.append(wrapper)
        if not self.lasts:
            self.end()

    def end(self) -> None:
        """Somebody listens: the wrappers look at it no more."""
        self.lasts = False
        for wrapper in self._asleep:
            _wrapper.wake(wrapper)
