"""The label that tells instances of a program apart."""

from __future__ import annotations

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

    def __call__(self) -> Mapping[str, str]:
        """Return the labels."""
        if self._labels is None:
            found = self._given or self._of_the_resource()
            if not found:
                return {}
            self._labels = {contract.INSTANCE_ID: encodable(found)}
        return self._labels

    def _of_the_resource(self) -> str | None:
        provider = metrics.get_meter_provider() if self._provider is None else self._provider
        resource = getattr(getattr(provider, "_sdk_config", None), "resource", None)
        found = None if resource is None else resource.attributes.get(contract.SERVICE_INSTANCE_ID)
        return None if found is None else str(found)
