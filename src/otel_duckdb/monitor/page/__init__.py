"""The monitor's page: static files, and the headers that keep everything else away from them."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Final

from otel_duckdb.web.exchange import Response

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_UNREAD: Final = re.compile(rb"(?m)^ *//.*$|^ +")
"""What no browser reads: indents and lines that are nothing but a comment; their ends stay, as errors tell of lines."""
_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "LICENSE": "text/plain; charset=utf-8",
}
FILES: Final = (
    "index.html",
    "style.css",
    "vendor/uPlot.iife.min.js",
    "vendor/uPlot.LICENSE",
    *(f"{name}.js" for name in ("address", "api", "chart", "dom", "format", "main", "stream", "table", "waterfall")),
    *(
        f"views/{name}.js"
        for name in ("about", "actions", "alerts", "overview", "running", "statements", "storage", "sync", "traces")
    ),
)
"""All that is served, below the page's own address; nothing that a request names becomes a path."""


def respond(path: str) -> Response | None:
    """Return the file at this path, `/` being the page itself; None where there is none."""
    name = path.removeprefix("/") or "index.html"
    if name not in FILES:
        return None
    headers = (
        ("Content-Type", _TYPES[name.rpartition(".")[2]]),
        ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
        ("Referrer-Policy", "no-referrer"),
    )
    return Response(200, _content(name), headers)


@cache
def _content(name: str) -> bytes:
    content = resources.files(__name__).joinpath("static", name).read_bytes()
    return content if name.startswith("vendor/") or name.endswith(".html") else _UNREAD.sub(b"", content)
