"""Ways to tell people; each sends or raises, and none takes longer than its timeout."""

from __future__ import annotations

import contextlib
import json
import logging
import smtplib
import ssl
import threading
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from otel_duckdb.installation import install_command
from otel_duckdb.monitor.notification.payload import html_text, plain_text, title, webhook_payload
from otel_duckdb.monitor.notification.schemes import MANUAL
from otel_duckdb.monitor.posting import TIMEOUT, host_of, post_json
from otel_duckdb.settings import SettingError
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from otel_duckdb.monitor.alerts.alert import Alert

_REDIRECTS: Final = range(300, 400)
_REFUSED: Final = range(400, 500)
_TRY_AGAIN: Final = {408, 425, 429}
_SUBMISSION: Final = 587
_TLS: Final = 465


class DeliveryError(Exception):
    """What was to be sent was not taken; the text says why, and holds no secret."""


class RefusedDeliveryError(DeliveryError):
    """It is refused for good: to try again is of no use."""


def cause(error: Exception) -> str:
    """Why something was not sent, in few words: the message of a library's error may hold the address, and a secret."""
    if isinstance(error, DeliveryError):
        return str(error)
    if isinstance(error, HTTPError):
        return f"HTTP {error.code}"
    inner = error.reason if isinstance(error, URLError) and isinstance(error.reason, Exception) else error
    name = type(inner).__name__
    told = inner.strerror if isinstance(inner, OSError) and isinstance(inner.strerror, str) else ""
    return printable(f"{name}: {told}") if told else name


class Sender(Protocol):
    """One way to tell people.

    Attributes:
        name: What the log of alerts calls it; no address that holds a secret.
    """

    name: str

    def send(self, alerts: Sequence[Alert]) -> None:
        """Tell of the alerts in one message.

        Raises:
            RefusedDeliveryError: it is refused for good.
        """

    def fault(self) -> str | None:
        """Why it will never send, as far as that is known without sending; else None."""


class Webhook:
    """Posts JSON to an address."""

    def __init__(self, url: str, timeout: float = TIMEOUT) -> None:
        """Post to `url`.

        Raises:
            SettingError: it is no address of HTTP.
        """
        self.name = f"webhook {host_of(url)}"
        self._url = url
        self._timeout = timeout

    def send(self, alerts: Sequence[Alert]) -> None:
        """Post one message."""
        body = json.dumps(webhook_payload(alerts), allow_nan=False, default=str).encode()
        try:
            post_json(self._url, body, self._timeout)
        except HTTPError as error:
            error.close()
            if error.code in _REDIRECTS:
                raise RefusedDeliveryError(
                    f"HTTP {error.code}, a redirect, which is not followed; give the address it leads to"
                ) from None
            if error.code in _REFUSED and error.code not in _TRY_AGAIN:
                raise RefusedDeliveryError(f"HTTP {error.code}") from None
            raise

    def fault(self) -> str | None:
        """Its address was looked at when it was made."""
        return None


class Mail:
    """Sends mail by SMTP: with TLS from the start on port 465, else by STARTTLS where the server offers it."""

    def __init__(
        self,
        host: str,
        recipients: Sequence[str],
        sender: str,
        port: int = _SUBMISSION,
        user: str = "",
        password: str = "",
        timeout: float = TIMEOUT,
    ) -> None:
        self.name = f"mail {host}"
        self._host = host
        self._port = port
        self._recipients = tuple(recipients)
        self._sender = sender
        self._user = user
        self._password = password
        self._timeout = timeout

    def send(self, alerts: Sequence[Alert]) -> None:
        """Send one mail to all recipients."""
        message = EmailMessage()
        message["Subject"] = title(alerts)
        message["From"] = self._sender
        message["To"] = ", ".join(self._recipients)
        message.set_content(plain_text(alerts))
        message.add_alternative(html_text(alerts), subtype="html")
        try:
            with self._connect() as server:
                if self._user:
                    server.login(self._user, self._password)
                server.send_message(message)
        except (smtplib.SMTPAuthenticationError, smtplib.SMTPRecipientsRefused, smtplib.SMTPNotSupportedError) as error:
            raise RefusedDeliveryError(type(error).__name__) from None

    def fault(self) -> str | None:
        """Its options were looked at when it was made."""
        return None

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self._port == _TLS:
            return smtplib.SMTP_SSL(self._host, self._port, timeout=self._timeout, context=context)
        server = smtplib.SMTP(self._host, self._port, timeout=self._timeout)
        try:
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
            elif self._user:
                raise _no_tls()  # noqa: TRY301 - the connection is closed below
        except BaseException:
            server.close()
            raise
        return server


@contextlib.contextmanager
def _unlogged() -> Iterator[None]:
    """Keep what apprise logs in this thread out of the program's log: it writes out addresses, and tokens in them."""
    logger, mine = logging.getLogger("apprise"), threading.get_ident()

    def is_others(record: logging.LogRecord) -> bool:
        return record.thread != mine

    logger.addFilter(is_others)
    try:
        yield
    finally:
        logger.removeFilter(is_others)


class Apprise:
    """Tells whatever service apprise knows, by its address.

    It is imported when it is checked or used for the first time, never at the start: it takes a second and 42 MB.
    """

    def __init__(self, url: str) -> None:
        self.name = f"apprise {urlsplit(url).scheme or '?'}"
        self._url = url
        self._service: Any = None

    def send(self, alerts: Sequence[Alert]) -> None:
        """Send one message."""
        fault = self.fault()
        if fault is not None:
            raise RefusedDeliveryError(fault)
        with _unlogged():
            sent = self._service.notify(title=title(alerts), body=plain_text(alerts))  # it does not raise
        if not sent:
            raise DeliveryError("apprise could not deliver it")

    def fault(self) -> str | None:
        """What apprise itself finds wrong with the address."""
        if self._service is not None:
            return None
        try:
            import apprise  # noqa: PLC0415 - it costs 42 MB
        except ImportError:
            return f"apprise is not installed; run: {install_command('monitor')}"
        service = apprise.Apprise()
        with _unlogged():
            taken = service.add(self._url)
        if not taken:
            scheme = self.name.removeprefix("apprise ")
            return f"apprise takes no address of this form: {scheme}://…; its parts are at {MANUAL}"
        self._service = service
        return None


def _no_tls() -> RefusedDeliveryError:
    return RefusedDeliveryError("the server offers no TLS, and a password would be sent in the open")


def make_senders(environment: Mapping[str, str], urls: Sequence[str] = ()) -> list[Sender]:
    """Make what the environment and the addresses for apprise ask for.

    Raises:
        SettingError: a variable has a value that is not allowed, or mail lacks a recipient.
    """
    made: list[Sender] = []
    webhook = environment.get("DUCKDB_ALERT_WEBHOOK_URL", "").strip()
    if webhook:
        try:
            made.append(Webhook(webhook))
        except SettingError as error:
            raise SettingError(f"DUCKDB_ALERT_WEBHOOK_URL: {error}") from None
    host = environment.get("SMTP_HOST", "").strip()
    to = [one.strip() for one in environment.get("ALERT_EMAIL", "").split(",") if one.strip()]
    if host and to:
        made.append(_mail(host, to, environment))
    elif to:
        raise SettingError("ALERT_EMAIL names recipients, and SMTP_HOST no server; set SMTP_HOST")
    return [*made, *(Apprise(url) for url in urls)]


def _mail(host: str, to: list[str], environment: Mapping[str, str]) -> Mail:
    text = environment.get("SMTP_PORT", "").strip() or str(_SUBMISSION)
    if not text.isdigit() or not 0 < int(text) < 2**16:
        raise SettingError(f"SMTP_PORT is {text!r}; allowed is a port from 1 to 65535")
    addresses = [*to, sender := environment.get("SMTP_FROM", "").strip() or f"duckdb-monitor@{host}"]
    for address in addresses:
        if "@" not in address or any(character in address for character in "\r\n"):
            raise SettingError(f"{address!r} is no address of mail; see ALERT_EMAIL and SMTP_FROM")
    user, password = environment.get("SMTP_USER", ""), environment.get("SMTP_PASSWORD", "")
    return Mail(host, to, sender, int(text), user, password)
