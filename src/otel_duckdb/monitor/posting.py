"""Posts JSON to an address that the user gave, and to no other."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from otel_duckdb.settings import SettingError

TIMEOUT: Final = 10.0


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
    except ValueError:
        host = None
    if not host:
        raise SettingError("the address of the webhook must begin with http:// or https://, and name a host")
    return host


def post_json(url: str, body: bytes, timeout: float = TIMEOUT) -> None:
    """Post JSON to an address that `host_of` has seen; redirects are errors.

    Raises:
        HTTPError: it was answered with an error; whoever catches it closes it.
        OSError: it could not be posted.
        ValueError: the address holds what no address may.
    """
    request = Request(url, body, {"Content-Type": "application/json"}, method="POST")  # noqa: S310 - seen by host_of
    with build_opener(_NoRedirect).open(request, timeout=timeout) as answer:
        answer.read(1024)
