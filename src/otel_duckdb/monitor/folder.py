"""The folder of this user in which monitors keep what must outlive a process, and what they find each other by."""

from __future__ import annotations

import os
from pathlib import Path


def state_folder() -> Path:
    """The state folder of this package; it may not exist yet.

    It is one of the user's own, and never one below a folder that others can write.
    """
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "otel-duckdb"
    told = os.environ.get("XDG_STATE_HOME", "")
    return (Path(told) if Path(told).is_absolute() else Path.home() / ".local/state") / "otel-duckdb"
