"""Functions of DuckDB that a program imported by name before they were replaced: such a name means the original."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_DUCKDB: Final = frozenset({"duckdb", "_duckdb", "adbc_driver_duckdb"})
_MOST: Final = 10
"""How many names are told of."""
_told: set[str] = set()
"""The names of this process that were told of, or that were one too many."""
_free: dict[str, int] = {}
"""How many names each module had that held none of them: the next look passes it by while it has as many."""


def untold_names(functions: Mapping[str, Any]) -> list[str]:
    """Return where modules outside DuckDB hold one of its `functions` in a global name, each place once a process.

    Returns:
        The places as `module.name`, no more than ten of them.
    """
    wanted = {id(function) for function in functions.values()}
    found = []
    for module_name, module in tuple(sys.modules.items()):
        # Another type of module may import something when it is looked at.
        if type(module) is ModuleType and module_name.partition(".")[0] not in _DUCKDB:
            if _free.get(module_name) == len(vars(module)):
                continue
            values = tuple(vars(module).values())
            if wanted.isdisjoint(map(id, values)):  # quick, for a program has ten thousands of global names
                _free[module_name] = len(values)
            else:
                names = (name for name, value in tuple(vars(module).items()) if id(value) in wanted)
                found += [f"{module_name}.{name}" for name in names]
    untold = sorted(set(found) - _told)
    _told.update(untold)
    return untold[:_MOST]
