"""The panels of the dashboards that users deploy, and their expressions as Prometheus gets them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from stack.pipeline import CONFIGURATION

if TYPE_CHECKING:
    from collections.abc import Iterator

DASHBOARDS: dict[str, dict[str, Any]] = {
    file.stem: json.loads(file.read_text())
    for file in sorted((CONFIGURATION / "grafana" / "dashboards").glob("*.json"))
}
VARIABLES = {"$__rate_interval": "5s", "$__range": "5m", "$__interval": "1s"}


def as_prometheus_gets_it(expression: str, chosen: dict[str, str] | None = None) -> str:
    """An expression with Grafana's variables filled in: those that are `chosen`, and the others as "All" fills them."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    for name, value in (chosen or {}).items():
        expression = expression.replace(f'{name}=~"${name}"', f'{name}=~"{value}"')
    return re.sub(r"\$\w+", ".*", expression)


def that_ask(name: str, variable: str) -> Iterator[tuple[str, str]]:
    """The titles and expressions of a dashboard that are filtered by a variable, without those on alerts that fire."""
    for panel in DASHBOARDS[name]["panels"]:
        for target in panel.get("targets", ()):
            expression = target.get("expr", "")
            if f'{variable}=~"${variable}"' in expression and "alertstate" not in expression:
                yield panel["title"], expression
