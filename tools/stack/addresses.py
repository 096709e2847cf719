"""The loopback ports of one run of the pipeline."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass, fields
from typing import Self

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Ports:
    """Each port that a part listens on."""

    otlp_grpc: int
    otlp_http: int
    collector_health: int
    collector_prometheus: int
    collector_own_metrics: int
    jaeger_otlp: int
    jaeger_query: int
    jaeger_query_grpc: int
    jaeger_health: int
    jaeger_own_metrics: int
    prometheus: int
    alertmanager: int
    clickhouse: int

    @classmethod
    def free(cls) -> Self:
        """Take ports that are free now; they are held all at once, so that no two are the same."""
        with ExitStack() as held:
            return cls(*(_bind(held.enter_context(socket.socket())) for _ in fields(cls)))


def _bind(taken: socket.socket) -> int:
    taken.bind((HOST, 0))
    port: int = taken.getsockname()[1]
    return port


def http(port: int, path: str = "") -> str:
    """The address of a port."""
    return f"http://{HOST}:{port}{path}"
