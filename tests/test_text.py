"""All that is exported can be encoded, and all that is printed stays in its line."""

import pytest

from otel_duckdb.text import encodable, printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trades", "trades"),
        ("Grüße 🦆", "Grüße 🦆"),
        ("t\ud800", r"t\ud800"),
        ("caf\udce9.db", r"caf\udce9.db"),
        ("\udfff\ud800", r"\udfff\ud800"),
        ("nul\0", "nul\0"),
    ],
)
def test_halves_of_characters_are_written_out_and_all_else_stays(text, expected):
    assert encodable(text) == expected
    encodable(text).encode()


def test_names_that_differ_in_a_half_stay_different():
    assert encodable("t\ud800") != encodable("t\ud801")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a \n\t b\r\n", "a b"),
        ("\x1b[31mred\x07\x00", r"\x1b[31mred\x07\x00"),
        ("\x9b2J\x7f", r"\x9b2J\x7f"),
        ("abc\u202edcba\u2028next\u2029", r"abc\u202edcba\u2028next\u2029"),
        ("t\ud800", r"t\ud800"),
        ("Grüße 🦆", "Grüße 🦆"),
        ("x\x0by\x0cz\x85w", r"x\x0by\x0cz\x85w"),
        (ValueError("a\nb"), "a b"),
    ],
)
def test_no_control_character_reaches_a_terminal_or_begins_a_line(text, expected):
    assert printable(text) == expected
    assert len(printable(text).splitlines()) == 1
