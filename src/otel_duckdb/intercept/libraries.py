"""The libraries in whose objects DuckDB hands rows over: importing one is not the query's time.

DuckDB imports a library inside the first call that needs it, which for pandas takes longer than most queries do. Done
just before that call, it is the same import at the same moment, but no clock runs.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_duckdb.intercept.gate import Gate
    from otel_duckdb.intercept.wrappers import CallHook

_PANDAS: Final = ("df", "fetchdf", "fetch_df", "to_df", "fetch_df_chunk")
_ARROW: Final = (
    *("arrow", "to_arrow_table", "fetch_arrow_table"),
    *("to_arrow_reader", "fetch_arrow_reader", "fetch_record_batch", "record_batch"),
)
LIBRARIES: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(_PANDAS, ("pandas",)),
    **dict.fromkeys(_ARROW, ("pyarrow",)),
    "fetchnumpy": ("numpy",),
    "pl": ("pyarrow", "polars"),
    "torch": ("torch",),
    "tf": ("tensorflow",),
}
"""What DuckDB imports in the first call of each of these methods."""


class LibraryCall:
    """A hook of a method that needs libraries, which are imported before it begins."""

    def __init__(self, gate: Gate, hook: CallHook, libraries: tuple[str, ...]) -> None:
        self._gate = gate
        self._begin = hook.begin
        self._libraries = libraries
        self.succeed = hook.succeed
        self.fail = hook.fail

    def begin(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Import what is missing, and begin; where that fails, DuckDB's own import says so to the caller."""
        for name in self._libraries:
            if name not in sys.modules and self._gate.active:
                with suppress(Exception):
                    import_module(name)
        return self._begin(arguments, keywords)
