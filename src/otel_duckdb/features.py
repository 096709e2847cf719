"""Switches of features, of which each needs another: analytics → monitoring → alerting, page, profiling."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from otel_duckdb.files import read_text
from otel_duckdb.text import shown

NEEDS: Final[Mapping[str, str | None]] = {
    "analytics": None,
    "monitoring": "analytics",
    "alerting": "monitoring",
    "page": "monitoring",
    "profiling": "monitoring",
}
"""Every feature, and the one that it needs."""
OTHER_NAMES: Final[Mapping[str, str]] = {
    "duckdb_analytics": "analytics",
    "duckdb_monitoring": "monitoring",
    "duckdb_alerting": "alerting",
    "duckdb_web_dashboard": "page",
    "duckdb_performance_monitoring": "profiling",
}
"""What the guide of DuckDB Resource Monitoring calls them."""
_PREFIX: Final = "duckdb_"
_WORDS: Final = {
    **dict.fromkeys(("true", "1", "yes", "on", "enabled"), True),
    **dict.fromkeys(("false", "0", "no", "off", "disabled"), False),
}


class SwitchError(ValueError):
    """A switch is none, or contradicts another; the text says which, and what to do."""


def read_switches(value: object) -> dict[str, bool]:
    """Read switches, by the names of `NEEDS`.

    Args:
        value: A mapping of features to true or false, or to mappings with `enabled`, as the guide's YAML has them; or a
            text such as `monitoring,alerting=false`, in which a name alone is switched on.

    Raises:
        SwitchError: there is no such feature, or a value is neither true nor false.
    """
    if isinstance(value, str):
        pairs = [(name.strip(), state.strip() if equals else True) for name, equals, state in _parts(value)]
        return {_known(name): _state(name, state) for name, state in pairs}
    if not isinstance(value, Mapping):
        raise SwitchError(f"the features are {shown(value)}; allowed is a mapping, or names with commas between them")
    return {_known(str(name)): _state(str(name), state) for name, state in value.items()}


def read_file(path: str) -> dict[str, bool]:
    """Read switches from a file of the guide's form, in YAML or JSON; features of other programs in it are passed over.

    Raises:
        SwitchError: it cannot be read, has no `features`, or one is switched on whose `dependencies` are off.
    """
    document = _load(path)
    features = document.get("features") if isinstance(document, Mapping) else None
    if not isinstance(features, Mapping):
        raise SwitchError(f"{path} has no mapping `features`; see docs/monitor.md")
    ours = {name: state for name, state in features.items() if name in NEEDS or str(name).startswith(_PREFIX)}
    switches = read_switches(ours)
    for name, state in ours.items():
        needed = state.get("dependencies") if isinstance(state, Mapping) else None
        for other in needed if isinstance(needed, list) and switches[_known(name)] else ():
            if isinstance(other, str) and other in features and not _state(str(other), features[other]):
                raise SwitchError(f"{path}: {name} is on, and {other}, which it needs, is off")
    return switches


def check_needs(switches: Mapping[str, bool], otherwise: Mapping[str, bool]) -> None:
    """Check that each feature that is on has what it needs; `otherwise` says what those are that no switch names.

    Raises:
        SwitchError: one is on that needs one that is off.
    """
    present = {name: switches.get(name, otherwise.get(name, False)) for name in NEEDS}
    for name, needed in NEEDS.items():
        if needed is not None and present[name] and not present[needed]:
            raise SwitchError(
                f"the feature {name} is on, and {needed}, which it needs, is off; "
                f"switch {needed} on, or {name} off (OTEL_DUCKDB_FEATURES={needed},{name} or {name}=false)"
            )


def _parts(text: str) -> list[tuple[str, str, str]]:
    return [part.partition("=") for part in text.split(",") if part.strip()]


def _known(name: str) -> str:
    known = OTHER_NAMES.get(name, name)
    if known not in NEEDS:
        raise SwitchError(f"no feature is called {shown(name)}; known are {', '.join(NEEDS)}")
    return known


def _state(name: str, value: object) -> bool:
    if isinstance(value, Mapping):
        value = value.get("enabled", False)
    # Of a list, YAML's aliases can make a text of any length.
    found = value if isinstance(value, bool) else _WORDS.get(str(value).strip().lower() if _is_plain(value) else "")
    if found is None:
        raise SwitchError(f"the feature {name} is {shown(value)}; allowed is true or false")
    return found


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def _load(path: str) -> Any:
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise SwitchError(
            f"the features' file {path} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass  # YAML, of which JSON is a part
    try:
        import yaml  # noqa: PLC0415 - most programs have no such file
    except ImportError:
        raise SwitchError(f"{path} is no JSON, and to read YAML needs PyYAML; run: pip install pyyaml") from None
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # dates, numbers, nesting fail as Python's do
        raise SwitchError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
