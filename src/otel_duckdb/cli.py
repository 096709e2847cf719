"""`otel-duckdb`: finds the commands in `otel_duckdb.commands`, and loads one when it is called.

Exit codes: 0 all is well, 1 the thing asked about is unhealthy or failed, 2 wrong usage or a package that is not
installed. Errors are one line on stderr.
"""

from __future__ import annotations

import sys
from typing import Final

from otel_duckdb.installation import install_command

_EXTRAS: Final = {
    "chdb": ("chdb",),
    "sync": ("clickhouse_connect", "pyarrow", "tenacity"),
    "cli": ("click", "rich", "h11"),
    "prometheus": ("prometheus_client",),
    "otlp": ("opentelemetry", "google"),
}
"""The smallest extra that brings a package."""


def advice(module: str) -> str:
    """Return the command that installs the smallest extra with `module`, or `module` itself where none has it."""
    package = module.partition(".")[0]
    extras = [extra for extra, packages in _EXTRAS.items() if package in packages]
    return f"run: {install_command(extras[0]) if extras else f'pip install {package}'}"


def main() -> int:
    """Run the command line; 2 with one line of advice where the `cli` extra is not installed."""
    try:
        import click  # noqa: F401, PLC0415 - an extra is imported where used
    except ImportError:
        sys.stderr.write(f"otel-duckdb: the command line needs click, which is not installed; {advice('click')}\n")
        return 2
    from otel_duckdb.commands._group import run  # noqa: PLC0415 - needs click

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
