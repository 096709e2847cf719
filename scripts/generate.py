"""Writes the committed files made from the contract, the options and the table of alerts; `--check` only compares."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from otel_duckdb import Settings, contract
from otel_duckdb.contract.attributes import ATTRIBUTES, Attribute
from otel_duckdb.rules import alerts, prometheus_rules
from otel_duckdb.rules.dashboards import dashboards

ROOT = Path(__file__).parents[1]
CONFIGURATION = ROOT / "collector-config"


def generated() -> dict[Path, str]:
    """The text of each file that is made from other things, by its path."""
    files = {CONFIGURATION / "prometheus/rules.yml": prometheus_rules()}
    files |= {CONFIGURATION / "grafana/dashboards" / name: text for name, text in dashboards().items()}
    files[CONFIGURATION / "alertmanager/alertmanager.yml"] = _alertmanager()
    files[ROOT / "docs/metrics.md"] = _filled(ROOT / "docs/metrics.md", metrics=_metrics(), buckets=_buckets())
    files[ROOT / "docs/attributes.md"] = _filled(ROOT / "docs/attributes.md", attributes=_attributes())
    files[ROOT / "docs/configuration.md"] = _filled(ROOT / "docs/configuration.md", options=_options())
    files[ROOT / "docs/alerts.md"] = _filled(ROOT / "docs/alerts.md", alerts=_alerts())
    return files


def _alertmanager() -> str:
    script = CONFIGURATION / "alertmanager/render"
    return subprocess.run([script], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True).stdout


def _filled(document: Path, **parts: str) -> str:
    """The document with each part between its two marks made anew."""
    text = document.read_text(encoding="utf-8")
    for name, content in parts.items():
        begin, end = f"<!-- {name}: made by scripts/generate -->", f"<!-- end of {name} -->"
        if begin not in text or end not in text:
            raise SystemExit(f"generate: {document} lacks the marks {begin} and {end}")
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{content}\n{end}{rest.partition(end)[2]}"
    return text


def _metrics() -> str:
    head = "| name | kind | unit | labels | meaning |\n|---|---|---|---|---|"
    return "\n".join((head, *(_metric_row(metric) for metric in contract.METRICS)))


def _metric_row(metric: contract.Metric) -> str:
    labels = ", ".join(
        "`" + label.replace(".", "_") + "`" + "?" * (label in metric.optional) for label in metric.labels
    )
    cells = (f"`{metric.prometheus_name}`", metric.kind.value, metric.unit, labels, metric.description)
    return f"| {' | '.join(cells)} |"


def _attributes() -> str:
    head = "| name | type | unit | when | example |\n|---|---|---|---|---|"
    return "\n".join((head, *(_attribute_row(attribute) for attribute in ATTRIBUTES)))


def _attribute_row(attribute: Attribute) -> str:
    name = f"{attribute.name}<key>" if attribute.name.endswith(".") else attribute.name
    example = str(attribute.example).lower() if isinstance(attribute.example, bool) else str(attribute.example)
    return f"| {' | '.join((f'`{name}`', attribute.type, attribute.unit, attribute.when, f'`{example}`'))} |"


def _buckets() -> str:
    kinds = (
        ("Latencies, ms", contract.LATENCY_MS_BUCKETS),
        ("Latencies by table, ms", contract.TABLE_LATENCY_MS_BUCKETS),
        ("Durations, s", contract.DURATION_SECONDS_BUCKETS),
        ("Rows", contract.ROWS_BUCKETS),
    )
    return "\n".join(f"* {name}: {', '.join(f'{bound:.6g}' for bound in bounds)}" for name, bounds in kinds)


def _options() -> str:
    head = "| keyword | environment variable | default | meaning |\n|---|---|---|---|"
    rows = (
        (f"`{one.name}`", f"`{one.metadata['environment']}`", _default(one.default), one.metadata["meaning"])
        for one in fields(Settings)
    )
    return "\n".join((head, *(f"| {' | '.join(row)} |" for row in rows)))


def _default(value: object) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _alerts() -> str:
    return "\n".join(
        f"\n## {alert.name}\n\nSeverity {alert.severity.value}; "
        + ("fires at once" if alert.lasting == "0s" else f"fires after {alert.lasting}")
        + f".\n\n```promql\n{alert.expression}\n```\n\n"
        + f"* **Meaning.** {alert.meaning}\n* **Check.** {alert.check}\n* **Do.** {alert.action}"
        for alert in alerts()
    )


def main() -> None:
    """Write, or compare."""
    check = sys.argv[1:] == ["--check"]
    stale = [
        path for path, text in generated().items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(generated()[path], encoding="utf-8")
        print(f"{'differs' if check else 'written'}: {path.relative_to(ROOT)}")
    if check and stale:
        raise SystemExit("generate: run scripts/generate, and commit what it writes")


if __name__ == "__main__":
    main()
