"""`otel-duckdb`: finds the commands in `otel_duckdb.commands`, and loads one when it is called.

Exit codes: 0 all is well, 1 the thing asked about is unhealthy or failed, 2 wrong usage or a package that is not
installed. Errors are one line on stderr.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; 2 with one line of advice where the `cli` extra is not installed."""
    try:
        return _main()
    except KeyboardInterrupt:  # while modules are imported; later `run` itself says so
        sys.stderr.write("otel-duckdb: interrupted\n")
        return 1


def _main() -> int:
    try:
        import click  # noqa: F401, PLC0415 - an extra is imported where used
    except ImportError:
        from otel_duckdb.installation import advice  # noqa: PLC0415 - it takes longer than all the rest of this

        sys.stderr.write(f"otel-duckdb: the command line needs click, which is not installed; {advice('click')}\n")
        return 2
    from otel_duckdb.commands._group import run  # noqa: PLC0415 - needs click

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
