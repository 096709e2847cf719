"""Judges every rule at every sample: when an alert begins, gets worse, calms down and ends."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final, Protocol

from otel_duckdb import contract
from otel_duckdb.core import source
from otel_duckdb.monitor.alerts.alert import Alert
from otel_duckdb.monitor.alerts.log import AlertLog
from otel_duckdb.monitor.alerts.measures import Measures, figures
from otel_duckdb.monitor.alerts.messages import sentence
from otel_duckdb.monitor.alerts.operations import OperationWatch
from otel_duckdb.monitor.alerts.process import ProcessMeasures
from otel_duckdb.monitor.alerts.silences import Silences
from otel_duckdb.monitor.part import Part
from otel_duckdb.telemetry.counter import follow_counters, unfollow_counters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from otel_duckdb.core.source import Source
    from otel_duckdb.monitor.alerts.level import Level
    from otel_duckdb.monitor.alerts.measures import Labels
    from otel_duckdb.monitor.alerts.rule import Rule
    from otel_duckdb.monitor.sample import Sample

HEALTHY: Final = "healthy"
"""How all is where no alert is open."""
_ALERTS: Final = 200
"""Series that may be judged at a time; what is beyond is left out, and told."""


class Followers(Protocol):
    """Who is told of an alert; what they do, they do in threads of their own."""

    def alerted(self, alert: Alert, *, tell: bool) -> None:
        """An alert began or got worse; `tell` is False where a silence or the cool-down keeps it from being told."""

    def resumed(self, alert: Alert) -> None:
        """An alert that was not told goes on, and nothing keeps it from being told any more."""

    def ended(self, alert: Alert) -> None:
        """An alert is over."""


class _State:
    """Where one series of one rule stands."""

    __slots__ = ("above", "alert", "below_since", "emitted", "heard", "seen", "told_level", "told_until")

    def __init__(self) -> None:
        self.above: dict[Level, float] = {}
        self.below_since: float | None = None
        self.alert: Alert | None = None
        self.heard: Level | None = None  # the highest level that people were told of this alert
        self.emitted = False
        self.told_level: Level | None = None  # the same, of the alerts before it as well
        self.told_until = 0.0
        self.seen = 0.0


class AlertEngine(Part):
    """Keeps the alerts of this process.

    Attributes:
        log: Every alert that lasts, and the latest that are over.
        silences: What is not to be told for a while.
        leads: Whether this process is the one of its group that tells and acts.
        word: How all alerts together are: `healthy`, or the level of the worst that is open.
        since: Since when, in seconds since 1970; None before the first sample.
    """

    component = "alerts"

    def __init__(
        self,
        rules: Iterable[Rule],
        followers: Iterable[Followers] = (),
        emit: Callable[[str, Any], None] = lambda _event, _payload: None,
        *,
        cool_down: float = 300.0,
        leads: Callable[[], bool] = lambda: True,
        slower: Callable[[], Mapping[tuple[str, str], float]] = dict,
    ) -> None:
        """Judge `rules`; tell `followers` of alerts, and `emit` of events.

        An alert that comes again within `cool_down` seconds after it ended is logged, and not told again. `slower`
        tells by database and summary how many times longer than it used to a statement takes.
        """
        self.log = AlertLog()
        self.silences = Silences()
        self.leads = leads
        self._rules = tuple(rules)
        self._followers = tuple(followers)
        self._emit = emit
        self._cool_down = cool_down
        self._watch = OperationWatch()
        self._process = ProcessMeasures(slower)
        self._measures = Measures(self._process.by_name, self._watch.errors)
        self._states: dict[tuple[str, Labels], _State] = {}
        self._source: Source | None = None
        self._metrics: dict[str, Any] = {}
        self._silenced: tuple[str, ...] = ()
        self.word = HEALTHY
        self.since: float | None = None

    def start(self) -> None:
        """Follow counters and operations."""
        follow_counters(self)
        source.follow(self._follow)

    def stop(self) -> None:
        """Follow them no more."""
        self.unfollow()

    def unfollow(self) -> None:
        """Hear of operations and counters no more; where it does not hear of them nothing happens."""
        source.unfollow(self._follow)
        self._follow(None)
        unfollow_counters(self)

    def sampled(self, sample: Sample) -> None:
        """Judge every rule."""
        sample = self._measures.take(sample)
        self._follow_silences(sample.unix_seconds)
        self._process.look()
        self._metrics = figures(sample, self._process.cpu_share)
        for rule in self._rules:
            for labels, value in self._measures.of(rule, sample).items():
                key = (rule.name, labels)
                if key in self._states or len(self._states) < _ALERTS:
                    self._judge(rule, labels, value, sample)
        for key, state in tuple(self._states.items()):
            if state.seen != sample.monotonic:
                self._gone(key, state, sample)
        worst = max((state.alert.level for state in self._states.values() if state.alert), default=None)
        word = HEALTHY if worst is None else worst.word
        if self.since is None or word != self.word:
            self.word, self.since = word, sample.unix_seconds

    def as_json(self, now: float) -> dict[str, Any]:
        """Open and resolved alerts and the silences, as the API shows them."""
        return {**self.log.as_json(), "silences": [one.as_json() for one in self.silences.active(now)]}

    def _follow(self, present: Source | None) -> None:
        if self._source is not None:
            self._source.forget(self._watch)
        self._source = present
        if present is not None:
            present.listen(self._watch)

    def _judge(self, rule: Rule, labels: Labels, value: float, sample: Sample) -> None:
        state = self._states.setdefault((rule.name, labels), _State())
        now = state.seen = sample.monotonic
        level = self._lasting_level(rule, state, value, now)
        alert = state.alert
        if alert is None:
            if level is not None:
                self._begin(rule, labels, level, value, state, sample)
            return
        alert.value, alert.peak = value, max(alert.peak, value)
        kept = rule.kept(value)
        if level is not None and level > alert.level:
            state.below_since = None
            self._change(alert, level, state, sample, worse=True)
        elif kept is None or kept < alert.level:
            state.below_since = now if state.below_since is None else state.below_since
            if now - state.below_since >= rule.calming:
                state.below_since = None
                if kept is None:
                    self._end(alert, state, sample)
                else:
                    self._change(alert, kept, state, sample, worse=False)
        else:
            state.below_since = None
        self._catch_up(alert, state, sample)

    @staticmethod
    def _lasting_level(rule: Rule, state: _State, value: float, now: float) -> Level | None:
        reached = rule.reached(value)
        for level in rule.levels:
            if reached is not None and level <= reached:
                state.above.setdefault(level, now)
            else:
                state.above.pop(level, None)
        return max((level for level, since in state.above.items() if now - since >= rule.lasting), default=None)

    def _begin(self, rule: Rule, labels: Labels, level: Level, value: float, state: _State, sample: Sample) -> None:
        told = dict(labels)
        alert = Alert(
            uuid.uuid4().hex[:12],
            rule,
            told.get(contract.DATABASE, ""),
            told,
            level,
            "",
            value,
            rule.levels[level],
            sample.unix_seconds,
            worst=level,
            peak=value,
        )
        state.alert, state.heard = alert, None
        self.log.opened(alert)
        self._change(alert, level, state, sample, worse=True)

    def _change(self, alert: Alert, level: Level, state: _State, sample: Sample, *, worse: bool) -> None:
        alert.level, alert.worst = level, max(level, alert.worst)
        alert.threshold = alert.rule.levels[level]
        alert.changed = sample.unix_seconds
        alert.metrics = self._metrics
        alert.message = sentence(alert)
        alert.silenced = self.silences.cover(alert, sample.unix_seconds)
        if not worse:
            return
        tell = self._may_tell(alert, state, sample)
        for follower in self._followers:
            follower.alerted(alert, tell=tell)
        state.emitted = self.leads()
        if state.emitted:
            self._emit_alert(alert)

    def _may_tell(self, alert: Alert, state: _State, sample: Sample) -> bool:
        """Whether people are told now, which is noted."""
        told = state.told_level
        cooling = told is not None and alert.level <= told and sample.monotonic < state.told_until
        if alert.silenced or cooling or not self.leads():
            return False
        state.heard = state.told_level = alert.level
        state.told_until = sample.monotonic + self._cool_down
        return True

    def _catch_up(self, alert: Alert, state: _State, sample: Sample) -> None:
        """Tell of an alert that goes on after the silence, the cool-down or the leader that kept it from being told."""
        if alert.ended is not None or (state.heard is not None and alert.level <= state.heard):
            return
        if not self._may_tell(alert, state, sample):
            return
        alert.changed, alert.metrics = sample.unix_seconds, self._metrics
        alert.message = sentence(alert)
        for follower in self._followers:
            follower.resumed(alert)
        if not state.emitted:
            state.emitted = True
            self._emit_alert(alert)

    def _emit_alert(self, alert: Alert) -> None:
        self._emit("alert", alert)
        if alert.rule.issue is not None:
            self._emit("issue", {"type": alert.rule.issue, "level": alert.level.word, "message": alert.message})

    def _follow_silences(self, now: float) -> None:
        """Note on open alerts that a silence begins or ends; else nothing is matched."""
        active = tuple(one.id for one in self.silences.active(now))
        if active != self._silenced:
            self._silenced = active
            for alert in self.log.open_alerts():
                alert.silenced = self.silences.cover(alert, now)

    def _end(self, alert: Alert, state: _State, sample: Sample) -> None:
        alert.ended = alert.changed = sample.unix_seconds
        state.alert = None
        if state.told_level is not None:
            state.told_until = sample.monotonic + self._cool_down
        self.log.resolved(alert)
        for follower in self._followers:
            follower.ended(alert)

    def _gone(self, key: tuple[str, Labels], state: _State, sample: Sample) -> None:
        """Its database was closed, or what is measured does not come any more: nothing can be said of it now."""
        if state.alert is None:
            if sample.monotonic >= state.told_until:
                del self._states[key]
            return
        state.below_since = state.below_since or sample.monotonic
        if sample.monotonic - state.below_since >= state.alert.rule.calming:
            self._end(state.alert, state, sample)
