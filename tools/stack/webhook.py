"""Receives what Alertmanager posts."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from stack.addresses import HOST, http


@dataclass(frozen=True, slots=True)
class Notice:
    """One alert of one notification: its name, `firing` or `resolved`, and its labels and annotations."""

    name: str
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]


class Webhook:
    """A server on loopback that keeps every notice it was sent."""

    def __init__(self) -> None:
        """Take a free port."""
        self.notices: list[Notice] = []
        self._server = _Server(self.notices)
        self._thread = threading.Thread(target=self._server.serve_forever, name="webhook")

    @property
    def url(self) -> str:
        """The address to post to."""
        return http(self._server.server_address[1], "/alerts")

    def names(self, status: str, **labels: str) -> set[str]:
        """The names of the alerts that were sent with this status and these labels."""
        return {
            notice.name
            for notice in list(self.notices)
            if notice.status == status and labels.items() <= notice.labels.items()
        }

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    def __init__(self, notices: list[Notice]) -> None:
        super().__init__((HOST, 0), _Handler)
        self.notices = notices


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        pass

    def do_POST(self) -> None:
        """Take a notification in."""
        content: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for alert in content["alerts"]:
            labels = alert["labels"]
            self.server.notices.append(Notice(labels["alertname"], alert["status"], labels, alert["annotations"]))
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", "0")
        self.end_headers()
