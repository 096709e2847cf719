"""How this package came here: its version, and the command that installs one of its extras."""

from __future__ import annotations

import json
from functools import cache
from importlib import metadata
from typing import Final
from urllib.parse import urlsplit

_NAME: Final = "otel-duckdb"
_EXTRAS: Final = {
    "chdb": ("chdb",),
    "sync": ("clickhouse_connect", "pyarrow", "tenacity"),
    "cli": ("click", "rich", "h11"),
    "prometheus": ("prometheus_client",),
    "otlp": ("opentelemetry", "google"),
    "monitor": ("apprise", "cryptography", "filelock"),
}
"""The smallest extra that brings a package."""


@cache
def version() -> str:
    """Return this package's version; "unknown" where it lies beside the program without its metadata."""
    try:
        return metadata.version(_NAME)
    except metadata.PackageNotFoundError:
        return "unknown"


def install_command(*extras: str) -> str:
    """Return the command that adds extras of this package, from where it came: an index, a folder or a repository."""
    wanted = f"[{','.join(extras)}]"
    try:
        origin = json.loads(metadata.distribution(_NAME).read_text("direct_url.json") or "{}")
        return f"pip install {_from(origin, wanted)}"
    except (metadata.PackageNotFoundError, ValueError, KeyError):
        return f"pip install '{_NAME}{wanted}'"


def advice(module: str, extra: str | None = None) -> str:
    """Return the command that installs `extra`, or the smallest one with `module`, or `module` itself."""
    package = module.partition(".")[0]
    extras = [extra] if extra else [name for name, packages in _EXTRAS.items() if package in packages]
    return f"run: {install_command(extras[0]) if extras else f'pip install {package}'}"


def _from(origin: dict[str, dict[str, str | bool]], wanted: str) -> str:
    """Return what `pip install` takes for an origin, which pip describes in direct_url.json."""
    if not origin:
        return f"'{_NAME}{wanted}'"
    url = str(origin["url"])
    if "dir_info" in origin:
        import shlex  # noqa: PLC0415 - a start goes without it
        from urllib.request import url2pathname  # noqa: PLC0415 - it brings an HTTP client along

        folder = shlex.quote(url2pathname(urlsplit(url).path) + wanted)
        return f"-e {folder}" if origin["dir_info"].get("editable") else folder
    if "vcs_info" in origin:
        url = f"{origin['vcs_info']['vcs']}+{url}@{origin['vcs_info']['commit_id']}"
    return f"'{_NAME}{wanted} @ {url}'"
