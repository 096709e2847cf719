"""The label that tells instances of a program apart: one way to find it, for every metric that carries it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from opentelemetry import metrics

from otel_duckdb import contract
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_duckdb.settings import Settings

_declared: list[str] = []
_of_process: dict[int, str] = {}


def declare(instance_id: str | None) -> None:
    """Let `instance_id` be that of the whole process, as a keyword of `instrument()` says; None takes it back."""
    _declared[:] = [] if instance_id is None else [instance_id]


class InstanceLabels:
    """The label `instance_id` of points about DuckDB's databases and their sync.

    It is the option `instance_id`; else the `service.instance.id` of the provider's resource, which the SDK makes up
    anew for each process where nobody sets it; else one made up here for each process. A process that was forked has a
    made-up one of its own, and its number behind an option that its parent had, so that no two series are one.
    """

    def __init__(self, settings: Settings, meter_provider: Any = None) -> None:
        """Take the option from what is declared, else from `settings`; the provider may be set later."""
        self._given = settings.instance_id
        self._provider = meter_provider
        self._process = os.getpid()
        self._found_for: tuple[Any, ...] = ()
        self._labels: Mapping[str, str] = {}

    def __call__(self) -> Mapping[str, str]:
        """Return the labels."""
        asked = (next(iter(_declared), self._given), self._resource(), os.getpid())
        if asked != self._found_for:
            self._labels = {contract.INSTANCE_ID: encodable(self._find(*asked))}
            self._found_for = asked
        return self._labels

    def _resource(self) -> Any:
        provider = metrics.get_meter_provider() if self._provider is None else self._provider
        return getattr(getattr(provider, "_sdk_config", None), "resource", None)

    def _find(self, given: str | None, resource: Any, process: int) -> str:
        if given:
            return given if process == self._process else f"{given}-{process}"
        named = None if resource is None else resource.attributes.get(contract.SERVICE_INSTANCE_ID)
        return str(named) if named else _of_process.setdefault(process, str(uuid4()))
