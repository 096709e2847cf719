"""The label that tells instances of a program apart."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics

from otel_duckdb import contract
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_duckdb.settings import Settings


class InstanceLabels:
    """The labels every point about the engine carries: `instance_id`, where one is known."""

    def __init__(self, settings: Settings, meter_provider: Any = None) -> None:
        """Take it from the settings, else from the resource of the provider, which may be set later."""
        self._given = settings.instance_id
        self._provider = meter_provider
        self._labels: Mapping[str, str] | None = None
        self._process = os.getpid()
        self._forked = False

    def __call__(self) -> Mapping[str, str]:
        """Return the labels."""
        if self._process != os.getpid():  # forked since: the SDK has given the child's resource an id of its own
            self._process, self._labels, self._forked = os.getpid(), None, True
        if self._labels is None:
            found = self._of_this_process(self._given) if self._given else self._of_the_resource()
            if not found:
                return {}
            self._labels = {contract.INSTANCE_ID: encodable(found)}
        return self._labels

    def _of_this_process(self, given: str) -> str:
        return f"{given}-{self._process}" if self._forked else given

    def _of_the_resource(self) -> str | None:
        provider = metrics.get_meter_provider() if self._provider is None else self._provider
        resource = getattr(getattr(provider, "_sdk_config", None), "resource", None)
        found = None if resource is None else resource.attributes.get(contract.SERVICE_INSTANCE_ID)
        return None if found is None else str(found)
