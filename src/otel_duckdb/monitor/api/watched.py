"""What the API asks of a monitor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

    from otel_duckdb.monitor.sample import Sample


class Watched(Protocol):
    """A monitor; each method returns what JSON can hold, and raises a ValueError where it is asked nonsense."""

    def status(self) -> dict[str, Any]:
        """Return the present state."""

    def sample(self) -> Sample | None:
        """Return the newest sample."""

    def statements(self, sort: str, limit: int, database: str | None) -> dict[str, Any]:
        """Return the statistics of the statement shapes."""

    def running(self) -> dict[str, Any]:
        """Return what runs at the moment."""

    def traces(
        self, min_ms: float | None, name: str | None, error: bool | None, limit: int, sort: str
    ) -> list[dict[str, Any]]:
        """Return the traces that are kept."""

    def trace(self, trace_id: str) -> dict[str, Any]:
        """Return one trace.

        Raises:
            LookupError: it is not kept.
        """

    def actions(self) -> dict[str, Any]:
        """Return the actions there are, and what was done."""

    def about(self) -> dict[str, Any]:
        """Return the options and what the monitor costs."""

    def metrics(
        self, names: Collection[str], start: float | None, end: float | None, step: float | None
    ) -> dict[str, Any]:
        """Return the history of metrics."""

    def sync(self) -> dict[str, Any]:
        """Return how far the tables of the sync are."""

    def storage(self, database: str | None, *, tables: bool) -> dict[str, Any]:
        """Return files, and on demand tables, of the databases."""

    def make_report(self, hours: float) -> dict[str, Any]:
        """Return what is known of the last hours."""

    def alerts(self) -> dict[str, Any]:
        """Return open and resolved alerts, and the silences."""

    def open_alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that last."""

    def clean_up(self, *, dry_run: bool = False, by: str = "") -> list[dict[str, Any]]:
        """Do of the automatic clean-up what is switched on."""

    def emergency_clean_up(self, *, dry_run: bool = False, by: str = "") -> list[dict[str, Any]]:
        """Do of the clean-up in an emergency what is switched on."""

    def run_action(
        self, name: str, database: str | None = None, *, dry_run: bool = False, argument: str = ""
    ) -> list[dict[str, Any]]:
        """Run one action."""

    def silence(self, name: str, seconds: float, database: str) -> dict[str, Any]:
        """Tell nobody of some alerts for a while."""

    def end_silence(self, silence_id: str) -> dict[str, Any]:
        """End a silence before its time.

        Raises:
            LookupError: it is over.
        """

    def receive_alertmanager(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Take in what an Alertmanager posts."""

    def cancel(self, operation_id: int) -> dict[str, Any]:
        """Interrupt a running operation.

        Raises:
            PermissionError: that is not switched on.
            LookupError: no such operation runs.
        """

    def report(self, component: str, error: BaseException) -> None:
        """Count a fault."""

    def audit(self, event: str, level: str = "info", /, **attributes: object) -> None:
        """Tell of one event in the audit trail."""
