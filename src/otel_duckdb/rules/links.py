"""Where an alert leads: to its runbook, to its panel, to the traces of the program."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from otel_duckdb.rules.alert import Alert

_JOB: Final = "{{ $labels.job | urlquery }}"


def _address(default: str, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True)
class Links:
    """The addresses that alerts lead to; those of compose.yaml unless told otherwise."""

    runbook_url: str = _address(
        "https://github.com/otel-duckdb/otel-duckdb/blob/main/docs/alerts.md", "The page that holds the runbooks."
    )
    grafana_url: str = _address("http://localhost:3000", "Where Grafana is.")
    jaeger_url: str = _address("http://localhost:16686", "Where Jaeger is.")

    def of(self, alert: Alert) -> dict[str, str]:
        """The annotations that lead somewhere."""
        name, title = alert.panel
        uid, number = _panels()[name, title]
        links = {
            "runbook_url": f"{self.runbook_url}#{alert.name.lower()}",
            "dashboard_url": f"{self.grafana_url.rstrip('/')}/d/{uid}?viewPanel={number}&var-job={_JOB}",
        }
        if alert.traced:
            links["traces_url"] = f"{self.jaeger_url.rstrip('/')}/search?service={_JOB}&lookback=1h&limit=20"
        return links


@cache
def _panels() -> dict[tuple[str, str], tuple[str, int]]:
    """The address and the number of each panel, by its dashboard and its title."""
    from otel_duckdb.rules.dashboards import dashboards  # noqa: PLC0415 - the dashboards show the alerts' thresholds

    made = {name.removesuffix(".json"): json.loads(text) for name, text in dashboards().items()}
    return {
        (name, panel["title"]): (str(dashboard["uid"]), int(panel["id"]))
        for name, dashboard in made.items()
        for panel in dashboard["panels"]
    }
