"""The options of the monitor's server: where it listens, who may ask it, and behind what it stands."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_duckdb.settings import SettingError, boolean, filled, names, option, text, whole

if TYPE_CHECKING:
    from collections.abc import Callable

_ORIGIN: Final = re.compile(r"https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)(:\d{1,5})?")
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9_.~-]+)*/?")


def _list(allowed: str, fits: Callable[[str], bool]) -> Callable[[str, object], tuple[str, ...]]:
    """Return what reads texts with commas between them, each of which fits."""

    def parse(name: str, value: object) -> tuple[str, ...]:
        parts = value.split(",") if isinstance(value, str) else value
        if isinstance(parts, list | tuple | set | frozenset):
            found = tuple(part.strip() for part in map(str, parts) if part.strip())
            if all(map(fits, found)):
                return found
        raise SettingError(f"{name} is {value!r}; allowed is {allowed}, with commas between them")

    return parse


def _is_network(one: str) -> bool:
    try:
        ipaddress.ip_network(one, strict=False)
    except ValueError:
        return False
    return True


def _prefix(name: str, value: object) -> str:
    found = str(value).strip()
    if not _PREFIX.fullmatch(found):
        raise SettingError(f"{name} is {value!r}; allowed is a path such as /duckdb")
    return found.rstrip("/")


@dataclass(frozen=True)
class ServerSettings:
    """The options of the server."""

    serve: bool = option(
        boolean, True, "OTEL_DUCKDB_MONITOR_SERVE", "Answer `otel-duckdb status` and its like, and the HTTP API."
    )
    host: str = option(
        filled,
        "127.0.0.1",
        "OTEL_DUCKDB_MONITOR_HOST",
        "Where the API listens; where other machines reach it, a key is needed.",
    )
    port: int | None = option(
        whole(0, 65_535),
        None,
        "DUCKDB_WEB_DASHBOARD_PORT",
        "Port of the API; else 3001, or the next one that is free. 0 takes any.",
    )
    api_key: str | None = option(
        text,
        None,
        "OTEL_DUCKDB_MONITOR_API_KEY",
        "What readers show in X-Monitoring-Key; without it all of this machine read.",
    )
    allowed_hosts: tuple[str, ...] = option(
        names,
        (),
        "OTEL_DUCKDB_ALLOWED_HOSTS",
        "Further names the API may be asked by, with commas between them: that of a proxy.",
    )
    allowed_origins: tuple[str, ...] = option(
        _list("an origin such as https://grafana.example", lambda one: _ORIGIN.fullmatch(one) is not None),
        (),
        "OTEL_DUCKDB_MONITOR_ALLOWED_ORIGINS",
        "Origins of other sites whose pages may ask the API, with commas between them.",
    )
    trusted_proxies: tuple[str, ...] = option(
        _list("an address or a network such as 10.0.0.0/8", _is_network),
        (),
        "OTEL_DUCKDB_MONITOR_TRUSTED_PROXIES",
        "Addresses of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, with commas between them.",
    )
    path_prefix: str = option(
        _prefix,
        "",
        "OTEL_DUCKDB_MONITOR_PATH_PREFIX",
        "The path below which a proxy shows the page, such as /duckdb.",
    )
    tls_certificate: str | None = option(
        text,
        None,
        "OTEL_DUCKDB_MONITOR_TLS_CERTIFICATE",
        "A file with the certificate and its chain in PEM, for HTTPS; it is read again when it changes.",
    )
    tls_key: str | None = option(
        text,
        None,
        "OTEL_DUCKDB_MONITOR_TLS_KEY",
        "The file with the certificate's key in PEM, without a password; else it is in the certificate's file.",
    )
    cancel: bool = option(
        boolean, False, "OTEL_DUCKDB_MONITOR_CANCEL", "Allow running operations to be cancelled by hand."
    )
