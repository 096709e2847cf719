"""What the monitor is made of: parts that are told of each sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from otel_duckdb.monitor.sample import Sample


class Part:
    """One part of the monitor; what it raises is counted under its `component`, and disturbs no other.

    All methods are called in the monitor's thread, in the order in which the parts were given, at the stop in reverse.

    Attributes:
        component: The name its failures are counted under in `otel_duckdb_internal_errors`.
    """

    component: ClassVar[str]

    def start(self) -> None:
        """The monitor begins."""

    def sampled(self, sample: Sample) -> None:
        """A sample was taken."""

    def stop(self) -> None:
        """The monitor ends."""
