"""What a webhook, a mail server and a service of apprise are sent, and which addresses they take."""

import json
import socketserver
import threading
from base64 import b64encode
from email import message_from_bytes, policy

import pytest

from command_line import otel_duckdb
from eventually import eventually
from otel_duckdb.monitor.alerts.level import Level
from otel_duckdb.monitor.notification import schemes
from otel_duckdb.monitor.notification.senders import Apprise, Mail, Webhook, make_senders
from otel_duckdb.settings import SettingError


class MailHandler(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 ready\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"EHLO":
                self.wfile.write(b"250-here\r\n250 8BITMIME\r\n")
            elif word == b"RCPT" and self.server.refuses:
                self.wfile.write(b"550 nobody of that name\r\n")
            elif word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = []
                while (text := self.rfile.readline()) != b".\r\n":
                    lines.append(text)
                self.server.mails.append(b"".join(lines))
                self.wfile.write(b"250 kept\r\n")
            elif word == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 ok\r\n")


class MailServer(socketserver.ThreadingTCPServer):
    """Speaks as much SMTP as a client asks for."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), MailHandler)
        self.mails, self.refuses = [], False
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture
def mail_server():
    made = MailServer()
    yield made
    made.shutdown()
    made.server_close()


def test_a_webhook_is_posted_the_guides_payload(alert, receiver, start):
    told = alert()
    start(Webhook(receiver.url)).alerted(told, tell=True)
    eventually(lambda: told.notifications)
    ((_, posted),) = receiver.posted
    assert posted["text"] == "DuckDB Alert: CRITICAL - DuckDBMemoryHigh"
    (attachment,) = posted["attachments"]
    assert attachment == {
        "color": "danger",
        "fields": [
            {"title": "Alert", "value": "DuckDBMemoryHigh", "short": True},
            {"title": "Level", "value": "critical", "short": True},
            {"title": "Message", "value": "db: <b>93 %</b> of it", "short": False},
            {"title": "Time", "value": "2001-09-09T01:46:40.000Z", "short": True},
        ],
    }
    assert posted["alerts"][0]["id"] == "a0"
    (note,) = told.notifications
    assert (note["to"], note["result"], note["attempt"]) == ("webhook 127.0.0.1", "sent", 1)
    assert "secret" not in json.dumps(note)


@pytest.mark.parametrize(("level", "colour"), [(Level.WARNING, "warning"), (Level.EMERGENCY, "danger")])
def test_the_colour_tells_the_level(alert, receiver, start, level, colour):
    told = alert(level=level)
    start(Webhook(receiver.url)).alerted(told, tell=True)
    eventually(lambda: receiver.posted)
    assert receiver.posted[0][1]["attachments"][0]["color"] == colour


def test_mail_has_the_guides_subject_and_both_texts(alert, mail_server, start):
    told = alert()
    port = mail_server.server_address[1]
    start(Mail("127.0.0.1", ["a@example.org", "b@example.org"], "m@example.org", port)).alerted(told, tell=True)
    eventually(lambda: mail_server.mails)
    mail = message_from_bytes(mail_server.mails[0], policy=policy.default)
    assert mail["Subject"] == "DuckDB Alert: CRITICAL - DuckDBMemoryHigh"
    assert (mail["To"], mail["From"]) == ("a@example.org, b@example.org", "m@example.org")
    text = mail.get_body(("plain",)).get_content()
    assert "Memory usage: 93.2%" in text
    assert "Active queries: 3" in text
    assert "<strong>Message:</strong> db: &lt;b&gt;93 %&lt;/b&gt; of it" in mail.get_body(("html",)).get_content()


def test_mail_that_is_refused_is_not_sent_again(alert, mail_server, start):
    mail_server.refuses = True
    told = alert()
    sender = Mail("127.0.0.1", ["a@example.org"], "m@example.org", mail_server.server_address[1])
    start(sender).alerted(told, tell=True)
    eventually(lambda: told.notifications)
    assert (told.notifications[0]["result"], told.notifications[0]["error"]) == ("failed", "SMTPRecipientsRefused")


def test_a_password_is_not_sent_in_the_open(alert, mail_server, start):
    told = alert()
    port = mail_server.server_address[1]
    start(Mail("127.0.0.1", ["a@example.org"], "m@example.org", port, "user", "password")).alerted(told, tell=True)
    eventually(lambda: told.notifications)
    assert "no TLS" in told.notifications[0]["error"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its own
def test_apprise_tells_a_webhook_of_its_own(alert, receiver, start):
    told = alert()
    start(Apprise(receiver.url.replace("http://", "json://"))).alerted(told, tell=True)
    eventually(lambda: told.notifications, within=30)
    assert told.notifications[0]["result"] == "sent"
    assert receiver.posted[0][1]["title"] == "DuckDB Alert: CRITICAL - DuckDBMemoryHigh"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_address_apprise_does_not_know_fails_without_being_shown(alert, start):
    told = alert()
    start(Apprise("nonsense://secret/token")).alerted(told, tell=True)
    eventually(lambda: told.notifications, within=30)
    assert told.notifications[0]["error"].startswith("apprise takes no address of this form: nonsense://…; its parts")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_address_whose_parts_are_wrong_is_told_soon_after_the_start_and_not_shown(start, monkeypatch, caplog):
    monkeypatch.setattr("otel_duckdb.monitor.notification.notifier._CHECKED_AFTER", 0.0)
    urls = "slack://secret-token", "json://127.0.0.1:9", "discord://secret", "https://hooks.example.org/x"
    start(*make_senders({"DUCKDB_ALERT_WEBHOOK_URL": "http://127.0.0.1:9/x"}, urls))
    eventually(lambda: len(caplog.messages) == 3, within=30)
    assert [message.split(" will not")[0] for message in caplog.messages] == [
        *("otel_duckdb: apprise slack", "otel_duckdb: apprise discord", "otel_duckdb: apprise https"),
    ]
    assert "secret" not in caplog.text


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_service_that_apprise_knows_is_one_for_the_settings():
    from apprise.manager_plugins import NotificationManager  # noqa: PLC0415 - it imports all of them

    known = NotificationManager()
    known.load_modules()
    assert len(known.schemas()) > 100
    assert [scheme for scheme in known.schemas() if schemes.fault((f"{scheme}://of/somebody",))] == []


def test_the_guides_variables_make_the_senders():
    environment = {
        "DUCKDB_ALERT_WEBHOOK_URL": "https://hooks.example.org/x",
        "SMTP_HOST": "mail.example.org",
        "SMTP_PORT": "465",
        "ALERT_EMAIL": "a@example.org, b@example.org",
    }
    names = [sender.name for sender in make_senders(environment, ["slack://a/b/c"])]
    assert names == ["webhook hooks.example.org", "mail mail.example.org", "apprise slack"]
    assert make_senders({}) == []


def test_a_name_and_a_password_in_an_address_are_sent_as_a_header_and_other_letters_as_they_must_be(
    alert, receiver, start
):
    told = alert()
    sender = Webhook(receiver.url.replace("http://", "http://me:p%40ss@").replace("/secret", "/straße?käse=1#end"))
    start(sender).alerted(told, tell=True)
    eventually(lambda: receiver.asked)
    assert receiver.asked == [("/stra%C3%9Fe?k%C3%A4se=1", f"Basic {b64encode(b'me:p@ss').decode()}")]
    assert sender.name == "webhook 127.0.0.1"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"DUCKDB_ALERT_WEBHOOK_URL": "hooks.example.org/token"}, "must begin with http"),
        (
            {"DUCKDB_ALERT_WEBHOOK_URL": "file:///etc/passwd"},
            "^DUCKDB_ALERT_WEBHOOK_URL: the address of .* begin with http",
        ),
        ({"DUCKDB_ALERT_WEBHOOK_URL": "http://h:99999/token"}, "has a host or a port that cannot be one"),
        ({"DUCKDB_ALERT_WEBHOOK_URL": "http://a host/token"}, "has a blank or a control character"),
        ({"ALERT_EMAIL": "a@example.org"}, "set SMTP_HOST"),
        ({"ALERT_EMAIL": "a@example.org", "SMTP_HOST": "h", "SMTP_PORT": "x"}, "SMTP_PORT is 'x'"),
        ({"ALERT_EMAIL": "nobody", "SMTP_HOST": "h"}, "'nobody' is no address"),
    ],
)
def test_a_variable_that_cannot_be_used_is_one_error(environment, said):
    with pytest.raises(SettingError, match=said) as raised:
        make_senders(environment)
    assert "token" not in str(raised.value)


def test_the_command_tries_everybody_and_says_what_came_of_each(receiver):
    receiver.answers += [200, 404]
    named = {
        "DUCKDB_ALERT_WEBHOOK_URL": receiver.url,
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": "9",
        "ALERT_EMAIL": "a@b.c",
    }
    nobody = dict.fromkeys((*named, "OTEL_DUCKDB_MONITOR_NOTIFY"), "")
    done = otel_duckdb("notify", environment={**nobody, **named})
    assert (done.returncode, done.stdout) == (
        1,
        "webhook 127.0.0.1: sent\nmail 127.0.0.1: failed: ConnectionRefusedError: Connection refused\n",
    )
    assert "nothing is wrong" in receiver.posted[0][1]["attachments"][0]["fields"][2]["value"]
    only = {**nobody, "DUCKDB_ALERT_WEBHOOK_URL": receiver.url}
    assert json.loads(otel_duckdb("notify", "--json", environment=only).stdout) == [
        {"to": "webhook 127.0.0.1", "result": "failed", "error": "HTTP 404"},
    ]
    assert otel_duckdb("notify", environment=only).returncode == 0
    assert otel_duckdb("notify", environment=nobody).returncode == 2
