"""Gauges that are read when metrics are collected, and that can be switched off, which OpenTelemetry does not offer.

A meter keeps the callbacks an instrument was first made with, for ever, and ignores those of every later instrument of
the same name. So each metric has one callback a meter, which asks whoever observes the metric at the moment.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from opentelemetry.metrics import Observation

from otel_duckdb.contract import DATABASE, Kind
from otel_duckdb.telemetry.section import INSIDE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.metrics import CallbackOptions, Meter

    from otel_duckdb.contract import Metric

    Counts = Callable[[], Mapping[str, float]]
    Labels = Callable[[], Mapping[str, str]]
    Observe = Callable[[], Iterable[Observation]]
    Report = Callable[[str, BaseException], None]

_CREATE = {
    Kind.OBSERVABLE_GAUGE: "create_observable_gauge",
    Kind.OBSERVABLE_COUNTER: "create_observable_counter",
    Kind.OBSERVABLE_UP_DOWN_COUNTER: "create_observable_up_down_counter",
}


class Gauges(Protocol):
    """What is read when metrics are collected."""

    def register(self, callbacks: CallbackRegistry) -> None:
        """Add a callback for each of its metrics."""


class _Metric:
    """Who observes one metric, and the meters that ask for it."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.observers: list[tuple[CallbackRegistry, Observe]] = []
        self.meters: WeakSet[Meter] = WeakSet()

    def observe(self, meter: Meter, _: CallbackOptions) -> Iterable[Observation]:
        real = _real(meter)
        for owner, observe in self.observers.copy():
            if _real(owner.meter) is real:
                yield from owner.ask(observe)


_metrics: dict[str, _Metric] = {}


class CallbackRegistry:
    """The observed metrics of one instrumentation, until `stop`."""

    def __init__(self, meter: Meter, report: Report, before: Callable[[], None] = lambda: None) -> None:
        """Observe on `meter`, after a call of `before`; a failed callback goes to `report`, its metric is left out."""
        self.meter = meter
        self._report = report
        self._before = before

    def add(self, metric: Metric, observe: Observe) -> None:
        """Ask `observe` for the points of `metric` at every collection."""
        shared = _metrics.setdefault(metric.name, _Metric(metric))
        shared.observers.append((self, observe))
        if self.meter not in shared.meters:
            shared.meters.add(self.meter)
            create = getattr(self.meter, _CREATE[metric.kind])
            create(metric.name, [partial(shared.observe, self.meter)], metric.unit, metric.description)

    def stop(self) -> None:
        """Observe nothing any more."""
        for shared in _metrics.values():
            shared.observers = [pair for pair in shared.observers if pair[0] is not self]

    def ask(self, observe: Observe) -> Iterable[Observation]:
        """Return what is observed, or nothing if that fails."""
        token = INSIDE.set(True)
        try:
            self._before()
            return list(observe())
        except Exception as error:
            self._report("collection", error)
            return ()
        finally:
            INSIDE.reset(token)


def observe_all() -> Iterable[tuple[Metric, Observation]]:
    """Return the points of every observed metric of this process, without a reader of the SDK.

    In the order in which the metrics were added: the first gauge of the engine takes the reading of all.
    """
    for shared in _metrics.copy().values():
        for owner, observe in shared.observers.copy():
            for observation in owner.ask(observe):
                yield shared.metric, observation


def _real(meter: Any) -> Any:
    # A meter taken before the provider was set stands for the one that the provider gave out later.
    return getattr(meter, "_real_meter", None) or meter


def register_count(callbacks: CallbackRegistry, metric: Metric, count: Counts, labels: Labels) -> None:
    """Observe a number that `count` tells by database; 0 where there is no database."""

    def observe() -> Iterable[Observation]:
        counts = count()
        if not counts:
            yield Observation(0, labels())
        for name, number in counts.items():
            yield Observation(number, {**labels(), DATABASE: name})

    callbacks.add(metric, observe)
