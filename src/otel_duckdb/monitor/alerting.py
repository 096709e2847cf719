"""Puts alerts, actions, notification, audit and election together, for the monitor."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry._logs import get_logger

from otel_duckdb import contract
from otel_duckdb.installation import version
from otel_duckdb.monitor.actions.all import CAP, all_actions
from otel_duckdb.monitor.actions.memory_limit import MemoryLimits
from otel_duckdb.monitor.actions.responder import Responder
from otel_duckdb.monitor.actions.runner import ActionRunner
from otel_duckdb.monitor.alerts.alertmanager import AlertmanagerWebhook
from otel_duckdb.monitor.alerts.engine import HEALTHY, AlertEngine
from otel_duckdb.monitor.alerts.level import count_by_level
from otel_duckdb.monitor.alerts.rule import make_rules
from otel_duckdb.monitor.audit import Audit, AuditFile
from otel_duckdb.monitor.folder import state_folder
from otel_duckdb.monitor.leader import Leader
from otel_duckdb.monitor.notification.notifier import Notifier
from otel_duckdb.monitor.notification.senders import make_senders
from otel_duckdb.monitor.times import iso
from otel_duckdb.settings import SettingError
from otel_duckdb.telemetry.meter import get_meter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from otel_duckdb.core.operation import Operation
    from otel_duckdb.monitor.actions.action import Action, Result
    from otel_duckdb.monitor.alerts.settings import AlertSettings
    from otel_duckdb.monitor.notification.senders import Sender
    from otel_duckdb.monitor.part import Part
    from otel_duckdb.rules import Thresholds


class Alerting:
    """The alerts of a monitor and all that follows them.

    Attributes:
        engine: The alerts.
        responder: What is done about them.
        notifier: Who is told of them.
        audit: The audit trail.
        leader: The election, or None where this process is alone.
        alertmanager: What an Alertmanager posted.
        parts: All of it, in the order in which the monitor tells them.
    """

    def __init__(
        self,
        *,
        emit: Callable[[str, Any], None] = lambda _event, _payload: None,
        thresholds: Thresholds | None = None,
        levels: Mapping[str, Mapping[str, float]] | None = None,
        lasting: float | None = None,
        calming: float | None = None,
        cool_down: float = 300.0,
        actions: Iterable[str] = (),
        further_actions: Iterable[Action] = (),
        find_operation: Callable[[str], Operation | None] = lambda _id: None,
        memory_cap: float = CAP,
        senders: Sequence[Sender] | None = None,
        notify: Sequence[str] = (),
        batch_seconds: float = 5.0,
        batch_size: int = 5,
        audit_file: AuditFile | None = None,
        leader: Leader | None = None,
        slower: Callable[[], Mapping[tuple[str, str], float]] = dict,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing is done about an alert but what `actions` names.

        Args:
            emit: Is told of events, as `Monitor.on` has them.
            thresholds: Those of the Prometheus rules.
            levels: Other thresholds, by the alert's name and by level.
            lasting: Seconds every alert must last before it fires; None leaves each its own.
            calming: Seconds every alert must have calmed down before it ends; None leaves each its own.
            cool_down: Seconds after its end in which an alert that comes again is not told again.
            actions: The names of the actions that are switched on.
            further_actions: Actions that other parts provide.
            find_operation: Returns the running operation of an id, for `interrupt`.
            memory_cap: The share of the machine's memory that a limit is raised to at most.
            senders: Who is told; None makes them from the environment and `notify`.
            notify: Addresses for apprise.
            batch_seconds: How long alerts are gathered into one message.
            batch_size: How many alerts make a message at once.
            audit_file: Where the audit trail is written beside OpenTelemetry's logs.
            leader: The election this process takes part in.
            slower: Tells by database and summary how many times longer than it used to a statement takes.
            environment: The environment's variables; None takes the process'.

        Raises:
            SettingError: an alert, a level, an action or an address is unknown or contradicts itself.
        """
        tracer = trace.get_tracer(contract.SCOPE, version(), None, contract.SCHEMA_URL)
        meter = get_meter()
        logger = get_logger(contract.SCOPE, version(), None, contract.SCHEMA_URL)
        self._tell = emit
        self.leader = leader
        self.audit = Audit(logger, audit_file)
        limits = MemoryLimits()
        runner = ActionRunner(
            [*all_actions(limits, find_operation, memory_cap), *further_actions],
            actions,
            limits,
            tracer,
            meter,
            self._acted,
        )
        self.responder = Responder(runner, lambda: self.engine.log, self._emit, leads=self._leads)
        if senders is None:
            senders = make_senders(os.environ if environment is None else environment, notify)
        self.notifier = Notifier(
            senders,
            lambda: self.engine.log,
            batch_seconds=batch_seconds,
            batch_size=batch_size,
            leads=self._leads,
        )
        self.engine = AlertEngine(
            make_rules(thresholds, levels, lasting=lasting, calming=calming),
            (self.audit, self.responder, self.notifier),
            self._emit,
            cool_down=cool_down,
            leads=self._leads,
            slower=slower,
        )
        self.alertmanager = AlertmanagerWebhook()
        self.parts: list[Part] = [
            *([leader] if leader else []),
            self.audit,
            self.responder,
            self.notifier,
            self.engine,
        ]

    def forked(self) -> None:
        """In a forked child, which begins anew: what listened for the parent listens no more."""
        for part in (self.engine, self.responder, self.notifier):
            part.unfollow()

    def alerts(self) -> dict[str, Any]:
        """Open and resolved alerts, silences, and what an Alertmanager posted, as the API shows them."""
        return {**self.engine.as_json(time.time()), "alertmanager": self.alertmanager.as_json()}

    def summary(self) -> dict[str, Any]:
        """How the worst open alert is, or `healthy`, since when, what each says, and how many are of each level."""
        open_alerts = self.engine.log.open_alerts()
        since = self.engine.since
        return {
            "status": open_alerts[0].level.word if open_alerts else HEALTHY,
            "since": None if since is None else iso(since),
            "reasons": [alert.message for alert in open_alerts],
            "open_alerts": count_by_level(alert.level for alert in open_alerts),
        }

    def receive(self, payload: object) -> list[dict[str, Any]]:
        """Take in what an Alertmanager posts, act on what fires anew, and return what is new.

        Raises:
            SettingError: it is no notification of version 4.
        """
        received = self.alertmanager.receive(payload)
        for alert in received:
            if alert.status == "firing" and not self.engine.silences.cover(alert, time.time()):
                self.responder.received(alert)
        return [alert.as_json() for alert in received]

    def clean_up(self, *, emergency: bool = False, dry_run: bool = False, by: str = "program") -> list[dict[str, Any]]:
        """Run the automatic clean-up, or the one in an emergency, as far as its actions are switched on."""
        results = self.responder.clean_up(by=by, emergency=emergency, dry_run=dry_run)
        return [result.as_json() for result in results]

    def run_action(
        self, name: str, database: str | None = None, *, by: str, dry_run: bool = False, argument: str = ""
    ) -> list[dict[str, Any]]:
        """Run one action by its name.

        Raises:
            SettingError: there is no such action, or it is not switched on.
        """
        results = self.responder.runner.run(name, database, by=by, dry_run=dry_run, argument=argument)
        return [result.as_json() for result in results]

    def _leads(self) -> bool:
        return self.leader is None or self.leader.leads

    def _emit(self, event: str, payload: Any) -> None:
        self._tell(event, payload)
        if event == "cleanup":
            name = "emergency_cleanup" if payload["emergency"] else "automatic_cleanup"
            freed = sum(action["freed_bytes"] for action in payload["actions"])
            self.audit.tell(name, by=payload["by"], actions=len(payload["actions"]), freed_bytes=freed)

    def _acted(self, result: Result) -> None:
        self.audit.tell(
            "action",
            action=result.action,
            database=result.database,
            outcome=result.outcome.value,
            by=result.by,
            freed_bytes=result.freed,
        )


def alerting(
    settings: AlertSettings,
    emit: Callable[[str, Any], None],
    find_operation: Callable[[str], Operation | None],
    slower: Callable[[], Mapping[tuple[str, str], float]],
) -> Alerting:
    """Make the alerting that the settings ask for.

    Raises:
        SettingError: a setting contradicts another, or names what there is not.
    """
    if settings.audit_key and not settings.audit_file:
        raise SettingError("audit_key encrypts the lines of a file, and audit_file names none; give both, or neither")
    return Alerting(
        emit=emit,
        levels=settings.alert_levels,
        lasting=settings.alert_lasting_seconds,
        calming=settings.alert_calming_seconds,
        cool_down=settings.alert_cool_down_seconds,
        actions=settings.actions,
        find_operation=find_operation,
        slower=slower,
        memory_cap=settings.memory_cap_ratio,
        notify=settings.notify,
        batch_seconds=settings.alert_batch_seconds,
        batch_size=settings.alert_batch_size,
        audit_file=AuditFile(Path(settings.audit_file), key=settings.audit_key) if settings.audit_file else None,
        leader=Leader(state_folder(), settings.group, emit=emit) if settings.group else None,
    )
