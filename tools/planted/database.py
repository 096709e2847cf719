"""The tables, functions and files that the statements name, with the value among their data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

_TABLES: Final = """
    set autoinstall_known_extensions = false; set autoload_known_extensions = false;
    create table numbers (number integer); insert into numbers values (1), (2);
    create table words (word varchar, number integer);
    create table typed (number integer);
    create table keyed (id varchar primary key, number integer);
    create table parent (id varchar primary key);
    create table child (id varchar references parent (id));
    create table checked (word varchar check (length(word) < 3), number integer not null);
"""


def prepare(connection: duckdb.DuckDBPyConnection, value: str, folder: Path) -> None:
    """Make the tables and functions on the connection, and write the files into the folder."""
    line = value.replace("\n", " ").replace('"', '""')
    (folder / "a.csv").write_text(f'number,word\n1,2020-01-01\n"{line}","{line}"\n', encoding="utf-8")
    (folder / "a.json").write_text(f'{{"a": 1}}\n{{"a": {line}\n', encoding="utf-8")
    connection.execute(_TABLES)
    connection.execute("insert into words values (?, 1), (?, 2)", [value, f"{value} again"])
    connection.execute("insert into keyed values (?, 1)", [f"{value} key"])
    connection.execute("insert into parent values (?)", [f"{value} parent"])
    connection.execute("insert into child select id from parent")
    connection.create_function("raises", _raises, ["VARCHAR"], "VARCHAR")
    connection.create_function("wrong_type", _wrong_type, ["VARCHAR"], "INTEGER")


def _raises(word: str) -> str:
    raise ValueError(word)


def _wrong_type(word: str) -> str:
    return word
