"""Posts JSON to an address that the user gave, and to no other."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from otel_duckdb.settings import SettingError

TIMEOUT: Final = 10.0
_BLANK: Final = re.compile(r"[\x00-\x20\x7f]")


class _NoRedirect(HTTPRedirectHandler):
    """What is posted goes where the user said, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


def host_of(url: str) -> str:
    """The host of an address of HTTP; the rest of an address is often a secret, so no error shows it.

    Raises:
        SettingError: it is no address of HTTP.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.scheme in {"http", "https"} else None
        port = parts.port
    except ValueError:
        host = port = None
        if url.startswith(("http://", "https://")):
            raise SettingError("the address of the webhook has a host or a port that cannot be one") from None
    if not host or port == 0:
        raise SettingError("the address of the webhook must begin with http:// or https://, and name a host")
    if _BLANK.search(url):
        raise SettingError("the address of the webhook has a blank or a control character in it")
    return host


def post_json(url: str, body: bytes, timeout: float = TIMEOUT) -> None:
    """Post JSON to an address that `host_of` has seen; redirects are errors.

    Raises:
        HTTPError: it was answered with an error; whoever catches it closes it.
        OSError: it could not be posted.
        ValueError: the address holds what no address may.
    """
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    headers = {"Content-Type": "application/json"}
    if at:  # as curl does
        headers["Authorization"] = f"Basic {b64encode(unquote_to_bytes(user)).decode()}"
    url = urlunsplit(parts._replace(netloc=host, path=_ascii(parts.path), query=_ascii(parts.query), fragment=""))
    request = Request(url, body, headers, method="POST")  # noqa: S310 - seen by host_of
    build_opener(_NoRedirect).open(request, timeout=timeout).close()  # what it says beside its status is not waited for


def _ascii(text: str) -> str:
    return "".join(character if character.isascii() else quote(character) for character in text)
