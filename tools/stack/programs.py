"""Finds the pipeline's programs, or makes them: the scripts that do so print where they are."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Programs:
    """Where each program is."""

    collector: Path
    jaeger: Path
    prometheus: Path
    promtool: Path
    alertmanager: Path
    amtool: Path

    @classmethod
    def find(cls) -> Self:
        """Look in PATH and the cache, else build and download; takes minutes the first time. Raises RuntimeError."""
        tools = _printed_by("prometheus-tools")
        return cls(
            collector=_printed_by("go-program", "collector"),
            jaeger=_printed_by("go-program", "jaeger"),
            prometheus=tools / "prometheus",
            promtool=tools / "promtool",
            alertmanager=_printed_by("go-program", "alertmanager"),
            amtool=_printed_by("go-program", "amtool"),
        )


def _printed_by(script: str, *arguments: str) -> Path:
    done = subprocess.run([ROOT / "scripts" / script, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"scripts/{script} {' '.join(arguments)} ended with status {done.returncode}")
    return Path(done.stdout.strip())
