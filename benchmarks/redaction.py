"""How long redaction takes in the worst case: texts, messages and plans of one megabyte, of one piece each.

    benchmarks/redaction.py [CHARACTERS]

Prints the slowest pieces of each, in milliseconds of processor time, the best of three turns; the goal is 50 ms.
"""

import sys
import time
from collections.abc import Callable

from otel_duckdb.core.profile import Operator
from otel_duckdb.error_messages import redact
from otel_duckdb.profiling.plan_details import remark
from otel_duckdb.statement import parse

PIECES = (
    *(
        "a-",
        "a.",
        "a",
        "'",
        "''",
        '"',
        '""',
        "$",
        "$$",
        "$a$",
        "/*",
        "/**/",
        "*/",
        "--",
        "-- \n",
        "\n",
        "\n ",
        "  ",
        "\\",
    ),
    *(
        "(",
        "((a)",
        "(a(b)),",
        "(,",
        "[",
        "[?,",
        "in (",
        "(-",
        "?,",
        ";",
        "a;",
        "e'\\",
        "0x",
        "1.",
        "1e",
        "://",
        "a://b@",
    ),
    *("@", "a@:", "\0", "\ud800", "\u2003", "select ", "from a, ", "with a as (", "case ", "union ", "values (a(b)c"),
    *(
        "\nLINE 1: ",
        " Error: ",
        "Error: ",
        "Failed to commit: ",
        "' to ",
        " with name ",
        " when casting from source column ",
    ),
)
BEFORE_TEXT = (
    "",
    "values (((",
    "select '",
    "select /*",
    "attach 'x' (",
    "copy t to 'x' (",
    "create secret (",
    "set x =",
)
BEFORE_MESSAGE = (
    *("", "Conversion Error: Could not convert string '", "Catalog Error: Table with name ", "Invalid Input Error: "),
    *('Binder Error: Referenced column "a" not found in FROM clause!\nCandidate bindings: ', "IO Error: "),
    *("TransactionContext Error: Failed to commit: ", "Conversion Error: CSV Error on Line: 1\nOriginal Line: "),
)


def _operator(text: str) -> Operator:
    return Operator("FILTER", 0.0, 0, 0, {"Expression": text}, ())


CASES: dict[str, tuple[tuple[str, ...], Callable[[str], object]]] = {
    "text of a statement": (BEFORE_TEXT, parse),
    "message of an error": (BEFORE_MESSAGE, lambda text: redact(text, "select a from b where c = ?")),
    "message and its statement": (BEFORE_MESSAGE, lambda text: redact(text, text[:32_768])),
    "remark of a plan": (("", "(a = '", "(a = "), lambda text: remark(_operator(text), "select a from b")),
}


def seconds(run: Callable[[str], object], text: str) -> float:
    """The least processor time of three turns; each text is a new one, so that no cache answers."""
    found = []
    for turn in range(3):
        started = time.process_time()
        run(f"{text}{turn}")
        found.append(time.process_time() - started)
    return min(found)


def main() -> None:
    """Measure all, and print the slowest."""
    length = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    redact("Binder Error: a", "")  # reads the table of messages
    for name, (befores, run) in CASES.items():
        times = sorted(
            (
                (seconds(run, before + piece * (length // len(piece))), before, piece)
                for before in befores
                for piece in PIECES
            ),
            reverse=True,
        )
        print(f"{name}: {len(times)} of {length:,} characters, the slowest:")
        for spent, before, piece in times[:3]:
            print(f"  {spent * 1000:5.1f} ms  {before!r} and then {piece!r}")


if __name__ == "__main__":
    main()
