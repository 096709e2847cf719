"""Replaces DuckDB's functions again after `importlib.reload(duckdb)`, which puts the originals back into the module."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class ReloadWatch:
    """A finder of modules that finds none, and is asked for DuckDB again only when DuckDB is loaded again."""

    def __init__(self, name: str, loaded: Callable[[], None]) -> None:
        """Call `loaded` after the module of that name was loaded again."""
        self._name = name
        self._loaded = loaded

    def start(self) -> None:
        """Watch."""
        sys.meta_path.insert(0, self)

    def stop(self) -> None:
        """Watch no more."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Let the other finders find the module, and its loader tell when it has run."""
        if fullname != self._name or target is None:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                _tell(spec.loader, self._loaded)
                return spec
        return None


def _tell(loader: Any, loaded: Callable[[], None]) -> None:
    run = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        run(module)
        loaded()

    loader.exec_module = exec_module
