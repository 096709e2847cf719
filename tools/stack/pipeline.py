"""The pipeline as a whole: starts its parts in the order of their needs, and stops them all."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Self

from clickhouse_standin import StandIn
from stack.addresses import HOST, Ports, http
from stack.part import Part, StartError
from stack.probe import Jaeger, Prometheus
from stack.programs import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from stack.programs import Programs

CONFIGURATION = ROOT / "collector-config"


class Stack:
    """Collector, Prometheus, Alertmanager, Jaeger and the ClickHouse stand-in, in a directory of their own.

    `rules` replaces the rules that users deploy, `alertmanager` the configuration of Alertmanager: a test cannot wait
    for hours, and has a webhook of its own. `environment` is added to the collector's.
    """

    def __init__(
        self,
        programs: Programs,
        directory: Path,
        *,
        rules: str | None = None,
        alertmanager: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Choose the ports and write the configuration; nothing runs yet."""
        self.directory = directory
        self.ports = Ports.free()
        self.logs = directory / "logs"
        self.logs.mkdir(parents=True)
        self._write_prometheus(rules)
        self._write_alertmanager(alertmanager)
        self.clickhouse = StandIn(directory / "clickhouse", self.ports.clickhouse, self.logs / "clickhouse.log")
        self.collector = self._collector(programs.collector, environment or {})
        self.jaeger = self._jaeger(programs.jaeger)
        self.prometheus = self._prometheus(programs.prometheus)
        self.alertmanager = self._alertmanager(programs.alertmanager)

    @property
    def otlp_endpoint(self) -> str:
        """Where programs send OTLP over HTTP: the value of OTEL_EXPORTER_OTLP_ENDPOINT."""
        return http(self.ports.otlp_http)

    @property
    def prometheus_probe(self) -> Prometheus:
        """Asks Prometheus."""
        return Prometheus(http(self.ports.prometheus))

    @property
    def jaeger_probe(self) -> Jaeger:
        """Asks Jaeger."""
        return Jaeger(http(self.ports.jaeger_query))

    @property
    def addresses(self) -> dict[str, str]:
        """What a person wants to open, and under which name."""
        ports = self.ports
        return {
            "OTLP over HTTP": self.otlp_endpoint,
            "OTLP over gRPC": http(ports.otlp_grpc),
            "Collector's metrics": http(ports.collector_prometheus, "/metrics"),
            "Prometheus": http(ports.prometheus),
            "Alertmanager": http(ports.alertmanager),
            "Jaeger": http(ports.jaeger_query),
            "ClickHouse (stand-in)": self.clickhouse.url,
        }

    def start(self) -> None:
        """Start all parts, and return when all are ready. Raises StartError where one fails; then none is left."""
        try:
            for part in (self.jaeger, self.alertmanager):
                part.start()
            self.clickhouse.start()  # the collector makes its tables when it starts
            for part in (self.collector, self.prometheus):
                part.start()
            for part in (self.jaeger, self.alertmanager, self.collector, self.prometheus):
                part.wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Raises StartError where a part has ended by itself."""
        for part in (self.jaeger, self.alertmanager, self.collector, self.prometheus):
            part.check()
        if not self.clickhouse.running:
            raise StartError(f"the ClickHouse stand-in has ended; see {self.logs / 'clickhouse.log'}")

    def stop(self) -> None:
        """Stop all parts: the collector before those it delivers to."""
        for part in (self.prometheus, self.collector, self.alertmanager, self.jaeger):
            part.stop()
        self.clickhouse.stop()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def _collector(self, program: Path, environment: dict[str, str]) -> Part:
        ports = self.ports
        return Part(
            "collector",
            [str(program), "--config", str(CONFIGURATION / "collector.yaml")],
            http(ports.collector_health),
            self.logs / "collector.log",
            {
                "OTELCOL_OTLP_GRPC_PORT": str(ports.otlp_grpc),
                "OTELCOL_OTLP_HTTP_PORT": str(ports.otlp_http),
                "OTELCOL_HEALTH_PORT": str(ports.collector_health),
                "OTELCOL_PROMETHEUS_PORT": str(ports.collector_prometheus),
                "OTELCOL_OWN_METRICS_PORT": str(ports.collector_own_metrics),
                "OTELCOL_QUEUE_DIRECTORY": str(self.directory / "queue"),
                "OTELCOL_JAEGER_ENDPOINT": f"{HOST}:{ports.jaeger_otlp}",
                "OTELCOL_CLICKHOUSE_ENDPOINT": http(ports.clickhouse),
                "OTELCOL_CLICKHOUSE_COMPRESSION": "none",  # the stand-in reads no lz4 blocks
                **environment,
            },
        )

    def _jaeger(self, program: Path) -> Part:
        ports = self.ports
        return Part(
            "jaeger",
            [str(program), "--config", str(CONFIGURATION / "jaeger.yaml")],
            http(ports.jaeger_health, "/status"),
            self.logs / "jaeger.log",
            {
                "JAEGER_OTLP_GRPC_PORT": str(ports.jaeger_otlp),
                "JAEGER_QUERY_PORT": str(ports.jaeger_query),
                "JAEGER_QUERY_GRPC_PORT": str(ports.jaeger_query_grpc),
                "JAEGER_HEALTH_PORT": str(ports.jaeger_health),
                "JAEGER_OWN_METRICS_PORT": str(ports.jaeger_own_metrics),
            },
        )

    def _prometheus(self, program: Path) -> Part:
        port = self.ports.prometheus
        return Part(
            "prometheus",
            [
                str(program),
                f"--config.file={self.directory / 'prometheus' / 'prometheus.yml'}",
                f"--storage.tsdb.path={self.directory / 'prometheus' / 'data'}",
                f"--web.listen-address={HOST}:{port}",
                "--enable-feature=exemplar-storage,native-histograms",
            ],
            http(port, "/-/ready"),
            self.logs / "prometheus.log",
        )

    def _alertmanager(self, program: Path) -> Part:
        port = self.ports.alertmanager
        return Part(
            "alertmanager",
            [
                str(program),
                f"--config.file={self.directory / 'alertmanager' / 'alertmanager.yml'}",
                f"--storage.path={self.directory / 'alertmanager' / 'data'}",
                f"--web.listen-address={HOST}:{port}",
                "--cluster.listen-address=",
            ],
            http(port, "/-/ready"),
            self.logs / "alertmanager.log",
        )

    def _write_prometheus(self, rules: str | None) -> None:
        home = self.directory / "prometheus"
        (home / "targets").mkdir(parents=True)
        shutil.copy(CONFIGURATION / "prometheus" / "prometheus.yml", home)
        if rules is None:
            for file in (CONFIGURATION / "prometheus").glob("rules*.yml"):
                shutil.copy(file, home)
        else:
            (home / "rules.yml").write_text(rules)
        for name, port in (
            ("duckdb", self.ports.collector_prometheus),
            ("collector", self.ports.collector_own_metrics),
            ("prometheus", self.ports.prometheus),
            ("alertmanager", self.ports.alertmanager),
            ("jaeger", self.ports.jaeger_own_metrics),
        ):
            (home / "targets" / f"{name}.yml").write_text(f'- targets: ["{HOST}:{port}"]\n')

    def _write_alertmanager(self, configuration: str | None) -> None:
        home = self.directory / "alertmanager"
        home.mkdir()
        (home / "alertmanager.yml").write_text(render_alertmanager() if configuration is None else configuration)


def render_alertmanager(**environment: str) -> str:
    """Alertmanager's configuration for an environment, as users get it. Raises subprocess.CalledProcessError."""
    script = CONFIGURATION / "alertmanager" / "render"
    return subprocess.run(
        ["sh", script], check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ).stdout
