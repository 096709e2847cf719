"""What a monitor can be asked about alerts, and told to do: the half of `Monitor` that `alerting` answers for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from otel_duckdb.monitor.alerts.engine import HEALTHY
from otel_duckdb.monitor.alerts.level import count_by_level
from otel_duckdb.settings import SettingError

if TYPE_CHECKING:
    from otel_duckdb.monitor.alerting import Alerting
    from otel_duckdb.monitor.events import Events, Handler


class AlertMethods:
    """Alerts, silences, clean-up and actions.

    Attributes:
        alerting: The alerts and what follows them, None where they are switched off.
        events: The handlers of events.
    """

    alerting: Alerting | None
    events: Events

    def alerts(self) -> dict[str, Any]:
        """Return open and resolved alerts, the newest of the resolved first, and the silences."""
        return {"open": [], "resolved": [], "silences": []} if self.alerting is None else self.alerting.alerts()

    def open_alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that last, the worst first."""
        return [] if self.alerting is None else [one.as_json() for one in self.alerting.engine.log.open_alerts()]

    def _summary(self, began: str | None) -> dict[str, Any]:
        """How the worst open alert is, since when, what each open one says, and how many there are of each level."""
        if self.alerting is None:
            return {"status": HEALTHY, "since": began, "reasons": [], "open_alerts": count_by_level(())}
        return self.alerting.summary()

    def audit(self, event: str, level: str = "info", /, **attributes: object) -> None:
        """Tell of one event in the audit trail; there is none where alerting is off."""
        if self.alerting is not None:
            self.alerting.audit.tell(event, level, **attributes)

    def register_alert_handler(self, name: str, handler: Handler) -> None:
        """Call `handler` with each alert of a name, such as `DuckDBMemoryHigh` or `duckdb_memory_critical`.

        Raises:
            TypeError: the handler cannot be called.
        """
        self.events.on("alert", handler, name)

    def clean_up(self, *, dry_run: bool = False, by: str = "program") -> list[dict[str, Any]]:
        """Do of the automatic clean-up what is switched on, and return what came of each action.

        With `dry_run` nothing is done, and all actions say what they would do. `by` says on whose behalf.
        """
        return [] if self.alerting is None else self.alerting.clean_up(dry_run=dry_run, by=by)

    def emergency_clean_up(self, *, dry_run: bool = False, by: str = "program") -> list[dict[str, Any]]:
        """Do of the clean-up in an emergency what is switched on, as `clean_up` does."""
        return [] if self.alerting is None else self.alerting.clean_up(emergency=True, dry_run=dry_run, by=by)

    def actions(self) -> dict[str, Any]:
        """Return the actions there are, whether each is switched on, and what came of the latest, the newest first."""
        if self.alerting is None:
            return {"actions": [], "history": []}
        runner = self.alerting.responder.runner
        known = runner.actions.values()
        told = [{"name": each.name, "meaning": each.meaning, "on": each.name in runner.allowed} for each in known]
        return {"actions": told, "history": runner.results()}

    def run_action(
        self, name: str, database: str | None = None, *, dry_run: bool = False, argument: str = "", by: str = "api"
    ) -> list[dict[str, Any]]:
        """Run one action, if it is switched on, on one database or on all, and return what came of it on each.

        Raises:
            SettingError: there is no such action, it is not switched on, or alerting is off.
        """
        return self._alerting().run_action(name, database, by=by, dry_run=dry_run, argument=argument)

    def silence(self, name: str, seconds: float, database: str = "", reason: str = "") -> dict[str, Any]:
        """Tell nobody for `seconds` of alerts whose name and database match these regular expressions in whole.

        They are RE2's, as an Alertmanager's; an empty one matches all. Returns the silence.

        Raises:
            SettingError: it has no end within a year, an expression is none, or alerting is off.
        """
        silences = self._alerting().engine.silences
        return silences.add(time.time(), seconds, name or ".*", database or ".*", reason).as_json()

    def end_silence(self, silence_id: str) -> dict[str, Any]:
        """End a silence before its time, by the id that `silence` returned, and return which it was.

        Raises:
            NoSuchSilenceError: it is over, or there never was one of this id; a LookupError.
            SettingError: alerting is off.
        """
        return self._alerting().engine.silences.end(silence_id).as_json()

    def receive_alertmanager(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Take in what an Alertmanager posts to a webhook, and act on it; the same alert told again changes nothing.

        Raises:
            SettingError: it is no notification of version 4, or alerting is off.
        """
        return {"received": self._alerting().receive(payload)}

    def _alerting(self) -> Alerting:
        if self.alerting is None:
            raise SettingError("alerting is off; OTEL_DUCKDB_MONITOR_ALERTING=true switches it on")
        return self.alerting
