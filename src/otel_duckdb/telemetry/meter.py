"""The meter that everything in this package makes its instruments with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics

from otel_duckdb import contract
from otel_duckdb.installation import version
from otel_duckdb.telemetry.sdk_locks import free_in_forked_children

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter, MeterProvider


def get_meter(provider: MeterProvider | None = None) -> Meter:
    """The meter of a provider, without one of the global provider, also where that is set later."""
    free_in_forked_children(provider)
    return metrics.get_meter(contract.SCOPE, version(), provider, contract.SCHEMA_URL)
