"""Reads a request's body: sent whole or in chunks, plain or compressed."""

from __future__ import annotations

import zlib
from email import policy
from email.parser import BytesParser
from typing import TYPE_CHECKING

import lz4.frame  # type: ignore[import-untyped]  # lz4 ships no types
import zstandard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import Message
    from io import BufferedIOBase

PIECE = 65536

_DECODERS: dict[str, Callable[[], Callable[[bytes], bytes]]] = {
    "": lambda: bytes,
    "identity": lambda: bytes,
    "gzip": lambda: zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress,
    "deflate": lambda: zlib.decompressobj().decompress,
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj().decompress,
    "lz4": lambda: lz4.frame.LZ4FrameDecompressor().decompress,
}


class UnknownEncodingError(ValueError):
    """A Content-Encoding that the stand-in does not read."""


def pieces(stream: BufferedIOBase, headers: Message) -> Iterator[bytes]:
    """Yield a body's pieces, decompressed. Raises UnknownEncodingError, or EOFError where the client breaks off."""
    encoding = headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _DECODERS:
        raise UnknownEncodingError(
            f"Unknown Content-Encoding {encoding!r}: one of {', '.join(filter(None, _DECODERS))} is read"
        )
    decode = _DECODERS[encoding]()
    for piece in _raw_pieces(stream, headers):
        yield decode(piece)


def form(stream: BufferedIOBase, headers: Message) -> dict[str, str]:
    """The fields of a form, in which a client sends a statement whose parameters are too long for an address."""
    if headers.get_content_type() != "multipart/form-data":
        return {}
    content = b"".join(pieces(stream, headers))
    parsed = BytesParser(policy=policy.HTTP).parsebytes(
        f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + content
    )
    return {
        str(part.get_param("name", header="content-disposition")): str(part.get_content())
        for part in parsed.iter_parts()
    }


def _raw_pieces(stream: BufferedIOBase, headers: Message) -> Iterator[bytes]:
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        while size := int(_line(stream).split(b";")[0], 16):
            yield from _exactly(stream, size)
            _line(stream)
        while _line(stream).strip():  # trailers, then an empty line
            pass
    else:
        yield from _exactly(stream, int(headers.get("Content-Length", 0)))


def _exactly(stream: BufferedIOBase, size: int) -> Iterator[bytes]:
    while size:
        piece = stream.read(min(size, PIECE))
        if not piece:
            raise EOFError("the client broke off in the middle of its request")
        size -= len(piece)
        yield piece


def _line(stream: BufferedIOBase) -> bytes:
    line = stream.readline(PIECE)
    if not line:
        raise EOFError("the client broke off in the middle of its request")
    return line
