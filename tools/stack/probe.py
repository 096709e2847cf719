"""Asks the pipeline's stores what arrived, and waits for what has yet to."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any


def fetch(url: str, **parameters: str) -> Any:
    """The JSON at an address; None where there is nothing (404)."""
    query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
    try:
        with urllib.request.urlopen(url + query, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 404:  # noqa: PLR2004 - HTTP's "not found"
            return None
        raise AssertionError(f"{url}{query} answers {error.code}: {error.read()!r:.500}") from error


@dataclass(frozen=True, slots=True)
class Prometheus:
    """What Prometheus knows."""

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series an expression gives now, each with `metric` and `value`. Raises AssertionError if it is wrong."""
        return list(fetch(f"{self.url}/api/v1/query", query=expression)["data"]["result"])

    def range(self, expression: str, start: float, step: float = 1.0) -> list[dict[str, Any]]:
        """The series an expression gave from a time in seconds until now, each with `metric` and `values`."""
        answer = fetch(
            f"{self.url}/api/v1/query_range", query=expression, start=str(start), end=str(time.time()), step=str(step)
        )
        return list(answer["data"]["result"])

    def value(self, expression: str) -> float | None:
        """The value of an expression that gives one series; None where it gives none."""
        series = self.query(expression)
        return float(series[0]["value"][1]) if series else None

    def names(self) -> set[str]:
        """The names of all series."""
        return set(fetch(f"{self.url}/api/v1/label/__name__/values")["data"])

    def exemplars(self, expression: str, seconds: float = 600) -> list[dict[str, Any]]:
        """The exemplars of the last seconds, each with its `labels`."""
        now = time.time()
        answer = fetch(f"{self.url}/api/v1/query_exemplars", query=expression, start=str(now - seconds), end=str(now))
        return [exemplar for series in answer["data"] for exemplar in series["exemplars"]]

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        alerts = fetch(f"{self.url}/api/v1/alerts")["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}


@dataclass(frozen=True, slots=True)
class Jaeger:
    """What Jaeger knows."""

    url: str

    def services(self) -> list[str]:
        """The names of the services that sent traces."""
        return list((fetch(f"{self.url}/api/v3/services") or {}).get("services") or [])

    def spans(self, trace_id: str) -> list[dict[str, Any]]:
        """The spans of a trace as in OTLP's JSON, but with `attributes` as a plain dict; none where it is unknown."""
        answer = fetch(f"{self.url}/api/v3/traces/{trace_id}")
        return [
            {**span, "attributes": _plain(span.get("attributes", ()))}
            for resource in (answer or {"result": {}})["result"].get("resourceSpans", ())
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]


def _plain(attributes: Any) -> dict[str, Any]:
    """OTLP's list of keys and typed values as a dict; OTLP's JSON writes whole numbers as text."""
    return {
        each["key"]: int(value) if kind == "intValue" else value
        for each in attributes
        for kind, value in each["value"].items()
    }
