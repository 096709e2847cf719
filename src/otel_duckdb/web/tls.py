"""TLS from certificate files, which are read before anything listens, and again when they change."""

from __future__ import annotations

import logging
import ssl
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_duckdb.files import read_bytes

if TYPE_CHECKING:
    import socket

_logger: Final = logging.getLogger(__name__)
_LATER: Final = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class CertificateError(ValueError):
    """The certificate or its key cannot be used; the text names the file."""


class Certificates:
    """A certificate with its chain, and its key, both in PEM."""

    def __init__(self, certificate: str, key: str | None = None) -> None:
        """Read the files; without `key` the certificate's file holds the key too.

        Raises:
            CertificateError: a file cannot be read, or they do not fit each other.
        """
        self._certificate = Path(certificate)
        self._key = Path(key) if key else self._certificate
        self._state = self._look()
        self._context = self._load()

    def wrap(self, accepted: socket.socket) -> TlsSocket:
        """Serve TLS on a connection; a certificate that was renewed is used from the next one on.

        Raises:
            OSError: the connection is gone.
        """
        state = self._look()
        if state != self._state:
            self._state = state
            try:
                self._context = self._load()
            except CertificateError as error:
                _logger.warning("%s; the certificate from before is used on", error)
        return TlsSocket(self._context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False))

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        """What changes when a file is written or replaced."""
        found = []
        for path in (self._certificate, self._key):
            try:
                seen = path.stat()
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((seen.st_mtime_ns, seen.st_ino, seen.st_size))
        return tuple(found)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        for path in (self._certificate, self._key):
            try:
                read_bytes(path)
            except OSError as error:
                raise CertificateError(f"the certificate file {path} cannot be read: {error.strerror}") from None
        try:
            # A key that is locked by a password would be asked for on the terminal of a program in production.
            context.load_cert_chain(self._certificate, self._key, password=_no_password)
        except (ssl.SSLError, ValueError, TypeError) as error:
            reason = getattr(error, "reason", None) or str(error)
            raise CertificateError(
                f"{self._certificate} and {self._key} are no certificate in PEM with its key: {reason}"
            ) from None
        return context


class TlsSocket:
    """A connection under TLS, which says that it must wait in the words of a plain socket that does not block."""

    def __init__(self, wrapped: ssl.SSLSocket) -> None:
        self._socket = wrapped

    def fileno(self) -> int:
        """The descriptor that is waited for."""
        return self._socket.fileno()

    def setblocking(self, flag: bool, /) -> None:
        """Wait for the other side, or not."""
        self._socket.setblocking(flag)

    def recv(self, size: int, /) -> bytes:
        """Read, after the handshake where there was none yet; raises BlockingIOError where more must come first."""
        try:
            return self._socket.recv(size)
        except _LATER:
            raise BlockingIOError from None

    def pending(self) -> int:
        """Bytes that were taken from the network, and that waiting for the descriptor would not tell of."""
        return self._socket.pending()

    def send(self, piece: memoryview, /) -> int:
        """Send what can be sent; raises BlockingIOError where nothing can."""
        try:
            return self._socket.send(piece)
        except _LATER:
            raise BlockingIOError from None

    def shutdown(self, how: int, /) -> None:
        """Tell the other side that nothing more comes, in TLS and below it."""
        with suppress(OSError, ValueError):  # its own word to that has not come yet, or never will
            self._socket.unwrap()
        self._socket.shutdown(how)

    def close(self) -> None:
        """Free the descriptor."""
        self._socket.close()


def _no_password() -> str:
    raise ValueError("the key is locked by a password; give one without")
