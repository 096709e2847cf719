"""What is told of an error's message: fixed words of DuckDB's and names of the statement, never a value."""

import time

import pytest

from otel_duckdb.error_messages import MESSAGE_LIMIT, redact
from otel_duckdb.error_messages.kinds import CLASSES
from otel_duckdb.error_messages.table import find, template

SECRET = "hunter2"
TOLD = {
    "a value stays hidden whatever quotes it holds": (
        "Conversion Error: Could not convert string 'O'Brien \"hunter2\" '' \\'' to INT32",
        "select ?::int",
        "Conversion Error: Could not convert string '?' to INT32",
    ),
    "a name of the statement stays": (
        'Binder Error: Referenced column "nme" not found in FROM clause!\nCandidate bindings: "name", "hunter2"',
        "select nme, name from p",
        'Binder Error: Referenced column "nme" not found in FROM clause!\nCandidate bindings: "name", "?"',
    ),
    "a name that the statement gives as a string is hidden": (
        'Catalog Error: Table with name hunter2 does not exist!\nDid you mean "hunter"?',
        "select * from ?",
        'Catalog Error: Table with name ? does not exist!\nDid you mean "?"?',
    ),
    "a name of several words in quotes stays as a whole": (
        'Catalog Error: Table with name "my table" already exists!',
        'create table "my table" (a int)',
        'Catalog Error: Table with name "my table" already exists!',
    ),
    "names are compared without their case": (
        'Binder Error: Catalog "A1" does not exist!',
        "use a1",
        'Binder Error: Catalog "A1" does not exist!',
    ),
    "a count of columns stays": (
        "Binder Error: table p has 2 columns but 3 values were supplied",
        "insert into p values (?, ?, ?)",
        "Binder Error: table p has 2 columns but 3 values were supplied",
    ),
    "the excerpt of the statement is left out": (
        "Parser Error: syntax error at or near \"selec\"\n\nLINE 1: selec 'hunter2'\n        ^",
        "selec ?",
        'Parser Error: syntax error at or near "selec"',
    ),
    "the line of a CSV file is hidden": (
        (
            'Conversion Error: CSV Error on Line: 3\nOriginal Line: x,Jane hunter2\nError when converting column "id". '
            "Could not convert string \"x\" to 'INTEGER'\n\nColumn id is converted to INTEGER\n  file = hunter2.csv"
        ),
        "copy p from ?",
        (
            'Conversion Error: CSV Error on Line: 3\nOriginal Line: ?\nError when converting column "?". '
            "Could not convert string \"?\" to 'INTEGER'\n?"
        ),
    ),
    "the reason of the operating system stays, the file does not": (
        'IO Error: Cannot open file "/home/hunter2": Permission denied',
        "from read_csv(?)",
        'IO Error: Cannot open file "?": Permission denied',
    ),
    "an error inside another one is told as it would be alone": (
        (
            "Invalid Input Error: Attempting to execute an unsuccessful or closed pending query result\n"
            "Error: Conversion Error: Could not convert string 'hunter2' to INT32 when casting from source column v"
        ),
        "select v::int from t",
        (
            "Invalid Input Error: Attempting to execute an unsuccessful or closed pending query result\n"
            "Error: Conversion Error: Could not convert string '?' to INT32 when casting from source column v"
        ),
    ),
    "an unknown error inside another one is told by its kind": (
        "TransactionContext Error: Failed to commit: Constraint Error: hunter2",
        "commit",
        "TransactionContext Error: Failed to commit: Constraint Error: ?",
    ),
    "an unknown message is told by its kind": (
        "Invalid Input Error: hunter2",
        "select error(?)",
        "Invalid Input Error: ?",
    ),
    "a kind that DuckDB does not have is a value": ("hunter2 Error: a", "select 1", "?"),
    "errors as JSON are values": ('{"exception_type":"Binder","exception_message":"hunter2"}', "select 1", "?"),
    "fields of a struct and values of an enum are hidden in a type": (
        "Conversion Error: Unimplemented type for cast (STRUCT(hunter2 INTEGER, a ENUM('hunter2')) -> DECIMAL(4,1))",
        "select a::decimal(?, ?)",
        "Conversion Error: Unimplemented type for cast (STRUCT(? INTEGER, a ENUM(?)) -> DECIMAL(?))",
    ),
}


@pytest.mark.parametrize("name", TOLD)
def test_told(name):
    message, statement, told = TOLD[name]
    assert redact(message, statement) == told
    assert SECRET not in told


def test_the_template_with_the_most_fixed_words_is_found():
    found, holes = find("Could not convert string 'a' to INT32 when casting from source column to INT32")
    assert found == template("{error} when casting from source column {name}")
    assert holes == ["Could not convert string 'a' to INT32", "to INT32"]


def test_a_template_matches_only_from_end_to_end():
    made = template("a {name} b {} c")
    assert made.match("a 1 b 2 c") == ["1", "2"]
    assert made.match("a 1 b b 2 c c") == ["1", "b 2 c"]
    assert made.match("a 1 b 2 c.") is None
    assert made.match("a b c") is None
    assert template("a {}").match("a ") == [""]
    assert template("a").match("a b") is None


def test_what_is_told_is_bounded():
    told = redact(f"Conversion Error: Could not convert string '{'x' * 1_000_000}' to INT32", "select ?::int")
    assert told == "Conversion Error: Could not convert string '?' to INT32"
    names = ", ".join(f'"name_{number}"' for number in range(100_000))
    told = redact(f'Binder Error: Referenced column "a" not found in FROM clause!\nCandidate bindings: {names}', names)
    assert len(told) <= MESSAGE_LIMIT


def test_every_kind_of_error_has_a_class():
    assert all(name.endswith(("Exception", "Error")) for name in CLASSES.values())


BEGINNINGS = (
    *("", "Conversion Error: Could not convert string '", "Catalog Error: Table with name ", "Invalid Input Error: "),
    'Binder Error: Referenced column "a" not found in FROM clause!\nCandidate bindings: ',
    "TransactionContext Error: Failed to commit: ",
)
PIECES = (
    *(
        "\n",
        "a.",
        "a-",
        "\n  ",
        "'",
        '"',
        "''",
        '""',
        "'\"",
        "\\",
        " Error: ",
        "Error: ",
        "\nLINE 1: ",
        "a://",
        "@",
        "?",
    ),
    *(
        "Failed to commit: ",
        " when casting from source column ",
        "' to ",
        " with name ",
        "{",
        "(",
        "\0",
        "\ud800",
        "é ",
        "\n\n",
    ),
)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_no_megabyte_of_one_piece_takes_more_than_50_ms(beginning):
    redact("Conversion Error: a", "")  # reads the table
    for piece in PIECES:
        message = beginning + piece * (1_000_000 // len(piece))
        statement = f"select {piece * (32_768 // len(piece))}"
        assert any(_seconds(message, statement) < 0.05 for _ in range(4)), piece


def _seconds(message, statement):
    started = time.thread_time()
    redact(message, statement)
    return time.thread_time() - started
