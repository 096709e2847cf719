"""The one block of ClickHouse's Native format that the stand-in writes itself: its answer to a Go client's greeting."""

from __future__ import annotations

import struct

GREETING = "SELECT displayName(), version(), revision(), timezone()"
"""What clickhouse-go asks first, with its own protocol revision in `client_protocol_version`."""

_BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"
_ONE_ROW_OF_FOUR = b"\x04\x01"
_DEFAULT_SERIALISATION = b"\x00"


def greeting(version: str) -> bytes:
    """One row at the client's revision that announces revision 0, the only one in which chDB writes Native."""
    columns = (
        ("displayName()", "String", _text("chdb")),
        ("version()", "String", _text(version)),
        ("revision()", "UInt32", struct.pack("<I", 0)),
        ("timezone()", "String", _text("UTC")),
    )
    body = b"".join(_text(name) + _text(kind) + _DEFAULT_SERIALISATION + data for name, kind, data in columns)
    return _BLOCK_INFO + _ONE_ROW_OF_FOUR + body


def _text(value: str) -> bytes:
    """Encode a string of fewer than 128 bytes, whose length fits into one."""
    encoded = value.encode()
    return bytes([len(encoded)]) + encoded
