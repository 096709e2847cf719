"""Names and labels as Prometheus allows them, made from OpenTelemetry's names and attributes."""

from __future__ import annotations

import json
import math
import re
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOT_IN_METRIC_NAME: Final = re.compile(r"[^a-zA-Z0-9_:]")
_NOT_IN_LABEL_NAME: Final = re.compile(r"[^a-zA-Z0-9_]")


def metric_name(name: str) -> str:
    """The instrument's name with underscores for what Prometheus does not allow, and nothing added."""
    name = _NOT_IN_METRIC_NAME.sub("_", name)
    return f"_{name}" if name[:1].isdigit() else name


def labels(attributes: Mapping[str, Any] | None) -> dict[str, str]:
    """The attributes as labels; values whose names become one are joined by a semicolon, as OpenTelemetry says."""
    result: dict[str, str] = {}
    for key, value in sorted(((str(key), value) for key, value in (attributes or {}).items()), key=itemgetter(0)):
        name, text = _label_name(key), encodable(_text(value))
        result[name] = f"{result[name]};{text}" if name in result else text
    return result


def braces(pairs: Mapping[str, str]) -> str:
    """Labels as they stand after a series' name, sorted and escaped; nothing where there are none."""
    if not pairs:
        return ""
    return "{" + ",".join(f'{name}="{escaped(pairs[name])}"' for name in sorted(pairs)) + "}"


def escaped(text: str) -> str:
    """A label's value, or a description in OpenMetrics, as it stands between quotes."""
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def number(value: float) -> str:
    """A value as Prometheus reads it."""
    found = float(value)
    if math.isfinite(found):
        return repr(found)
    return "NaN" if math.isnan(found) else f"{'+' if found > 0 else '-'}Inf"


def _label_name(key: str) -> str:
    name = _NOT_IN_LABEL_NAME.sub("_", key)
    return f"key_{name}" if name[:1].isdigit() else name or "_"  # as the collector does


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, default=str) if isinstance(value, (bool, list, tuple, dict)) else str(value)
