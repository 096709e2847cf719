"""Telling people: by a real webhook and a real mail server, however they behave."""

import json
import os
import socketserver
import threading
import time
from base64 import b64encode
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from command_line import otel_duckdb
from eventually import eventually
from otel_duckdb.core import source
from otel_duckdb.monitor.alerts.alert import Alert
from otel_duckdb.monitor.alerts.level import Level
from otel_duckdb.monitor.alerts.log import AlertLog
from otel_duckdb.monitor.alerts.rule import make_rules
from otel_duckdb.monitor.notification import schemes
from otel_duckdb.monitor.notification.notifier import Notifier
from otel_duckdb.monitor.notification.senders import Apprise, Mail, Webhook, make_senders
from otel_duckdb.settings import SettingError

RULES = {rule.name: rule for rule in make_rules()}


def alert(number=0, level=Level.CRITICAL, name="DuckDBMemoryHigh"):
    metrics = {
        "memory": {"duckdb_memory_percent": 93.21},
        "system": {"cpu_usage_percent": 12.0},
        "queries": {"active_queries": 3.0},
    }
    made = Alert(f"a{number}", RULES[name], "db", {}, level, "db: <b>93 %</b>\nof it", 0.93, 0.9, 1e9, changed=1e9)
    made.metrics = metrics
    return made


class Receiver:
    """A webhook that answers as it is told, and keeps what was posted."""

    def __init__(self):
        self.posted, self.answers, self.asked = [], [], []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = receiver.answers.pop(0) if receiver.answers else 200
                if answer == "hang":
                    time.sleep(1.5)
                    return
                receiver.posted.append((answer, json.loads(body)))
                receiver.asked.append((self.path, self.headers["Authorization"]))
                self.send_response(answer)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/secret"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


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


class Faults:
    """Stands for an instrumentation that counts faults."""

    def __init__(self):
        self.counted = []

    def report(self, component, error):
        self.counted.append((component, type(error).__name__))


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def mail_server():
    made = MailServer()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def faults():
    made = Faults()
    source.provide(made)
    yield made
    source.provide(None)


@pytest.fixture
def start():
    """Starts a notifier that is stopped at the end."""
    started = []

    def start(*senders, **options):
        log = AlertLog()
        options = {"batch_seconds": 0.0, "waits": (0.05, 0.05), **options}
        notifier = Notifier(senders, lambda: log, **options)
        notifier.start()
        started.append(notifier)
        return notifier

    yield start
    for notifier in started:
        notifier.stop()


def test_a_webhook_is_posted_the_guides_payload(receiver, start):
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
def test_the_colour_tells_the_level(receiver, start, level, colour):
    told = alert(level=level)
    start(Webhook(receiver.url)).alerted(told, tell=True)
    eventually(lambda: receiver.posted)
    assert receiver.posted[0][1]["attachments"][0]["color"] == colour


def test_the_end_of_an_alert_is_told_if_its_beginning_was(receiver, start):
    notifier = start(Webhook(receiver.url))
    told, kept = alert(1), alert(2)
    notifier.alerted(told, tell=True)
    notifier.alerted(kept, tell=False)
    eventually(lambda: receiver.posted)
    for one in (told, kept):
        one.ended = one.changed = 1e9 + 60
        notifier.ended(one)
    eventually(lambda: len(receiver.posted) == 2)
    time.sleep(0.1)
    assert len(receiver.posted) == 2
    (attachment,) = receiver.posted[1][1]["attachments"]
    assert (attachment["color"], attachment["fields"][1]["value"]) == ("good", "resolved")


def test_several_alerts_are_one_message(receiver, start):
    notifier = start(Webhook(receiver.url), batch_seconds=0.3, batch_size=50)
    for number in range(7):
        notifier.alerted(alert(number), tell=True)
    eventually(lambda: receiver.posted)
    assert [len(posted["attachments"]) for _, posted in receiver.posted] == [7]
    assert receiver.posted[0][1]["text"] == "DuckDB Alert: CRITICAL - DuckDBMemoryHigh and 6 more"


def test_a_full_batch_and_an_emergency_do_not_wait(receiver, start):
    notifier = start(Webhook(receiver.url), batch_seconds=60, batch_size=3)
    for number in range(3):
        notifier.alerted(alert(number), tell=True)
    eventually(lambda: len(receiver.posted) == 1)
    notifier.alerted(alert(9, Level.EMERGENCY), tell=True)
    eventually(lambda: len(receiver.posted) == 2)


def test_what_fails_for_a_moment_is_sent_again_and_the_log_has_every_attempt(receiver, start, faults):
    receiver.answers += [500, 429]
    told = alert()
    start(Webhook(receiver.url)).alerted(told, tell=True)
    eventually(lambda: len(told.notifications) == 3)
    assert [(note["attempt"], note["result"]) for note in told.notifications] == [
        *((1, "trying again"), (2, "trying again"), (3, "sent")),
    ]
    assert [note.get("error") for note in told.notifications] == ["HTTP 500", "HTTP 429", None]
    assert faults.counted == [("notification", "HTTPError")] * 2


@pytest.mark.parametrize("status", [400, 401, 404, 302])
def test_what_is_refused_is_not_sent_for_ever_and_one_line_says_so(receiver, start, faults, status, caplog):
    receiver.answers += [status] * 9
    told = alert()
    start(Webhook(receiver.url)).alerted(told, tell=True)
    eventually(lambda: told.notifications and told.notifications[-1]["result"] == "failed")
    assert len(receiver.posted) == 1
    assert faults.counted
    eventually(lambda: caplog.messages)
    expected = f"otel_duckdb: webhook 127.0.0.1 was not told of DuckDBMemoryHigh (critical): HTTP {status}"
    assert [message[: len(expected)] for message in caplog.messages] == [expected]


def test_a_webhook_that_hangs_hinders_neither_the_monitor_nor_the_next(receiver, start):
    receiver.answers += ["hang"]
    told = alert()
    notifier = start(Webhook(receiver.url, timeout=0.3))
    began = time.monotonic()
    notifier.alerted(told, tell=True)
    assert time.monotonic() - began < 0.1
    eventually(lambda: told.notifications and told.notifications[-1]["result"] == "sent")


def test_one_that_is_away_does_not_keep_the_others_from_being_told(receiver, start):
    told, next_one = alert(1), alert(2)
    notifier = start(Webhook("http://127.0.0.1:9/x", timeout=0.3), Webhook(receiver.url), waits=(60, 60))
    for one in (told, next_one):
        notifier.alerted(one, tell=True)
        eventually(lambda one=one: [note for note in one.notifications if note["result"] == "sent"])
    first = told.notifications[0]
    assert (first["result"], first["error"]) == ("trying again", "ConnectionRefusedError: Connection refused")


def test_what_one_could_not_be_told_comes_in_its_order(receiver, start):
    receiver.answers += [500, 500]
    notifier = start(Webhook(receiver.url))
    for number in range(3):
        notifier.alerted(alert(number), tell=True)
    wanted = ["a0", "a1", "a2"]
    eventually(lambda: [one["id"] for _, body in receiver.posted[2:] for one in body["alerts"]] == wanted)


def test_the_queue_is_bounded_and_what_is_dropped_is_told(start, faults):
    notifier = start(Webhook("http://127.0.0.1:9/x"), batch_seconds=60, batch_size=1000)
    alerts = [alert(number) for number in range(150)]
    for one in alerts:
        notifier.alerted(one, tell=True)
    assert sum(note["result"] == "dropped" for one in alerts for note in one.notifications) == 50
    assert faults.counted == [("notification", "OverflowError")] * 50


def test_the_program_ends_in_time_though_nobody_answers(start):
    told = alert()
    notifier = start(Webhook("http://127.0.0.1:9/x"), waits=(60, 60))
    notifier.alerted(told, tell=True)
    time.sleep(0.1)
    began = time.monotonic()
    notifier.stop()
    assert time.monotonic() - began < 4


def test_what_waits_at_the_end_is_sent(receiver, start):
    notifier = start(Webhook(receiver.url), batch_seconds=60)
    notifier.alerted(alert(), tell=True)
    notifier.stop()
    assert len(receiver.posted) == 1


def test_mail_has_the_guides_subject_and_both_texts(mail_server, start):
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


def test_mail_that_is_refused_is_not_sent_again(mail_server, start):
    mail_server.refuses = True
    told = alert()
    sender = Mail("127.0.0.1", ["a@example.org"], "m@example.org", mail_server.server_address[1])
    start(sender).alerted(told, tell=True)
    eventually(lambda: told.notifications)
    assert (told.notifications[0]["result"], told.notifications[0]["error"]) == ("failed", "SMTPRecipientsRefused")


def test_a_password_is_not_sent_in_the_open(mail_server, start):
    told = alert()
    port = mail_server.server_address[1]
    start(Mail("127.0.0.1", ["a@example.org"], "m@example.org", port, "user", "password")).alerted(told, tell=True)
    eventually(lambda: told.notifications)
    assert "no TLS" in told.notifications[0]["error"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its own
def test_apprise_tells_a_webhook_of_its_own(receiver, start):
    told = alert()
    start(Apprise(receiver.url.replace("http://", "json://"))).alerted(told, tell=True)
    eventually(lambda: told.notifications, within=30)
    assert told.notifications[0]["result"] == "sent"
    assert receiver.posted[0][1]["title"] == "DuckDB Alert: CRITICAL - DuckDBMemoryHigh"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_address_apprise_does_not_know_fails_without_being_shown(start):
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


@pytest.mark.parametrize(("leads", "parent"), [(False, os.getpid()), (True, 1)], ids=["stand-by", "forked"])
def test_a_stand_by_leaves_that_to_the_one_that_leads_and_a_forked_worker_to_its_parent(
    start, monkeypatch, caplog, leads, parent
):
    monkeypatch.setattr("otel_duckdb.monitor.notification.notifier._IMPORTED_IN", parent)
    monkeypatch.setattr("otel_duckdb.monitor.notification.notifier._CHECKED_AFTER", 0.0)
    asked = []
    monkeypatch.setattr(Apprise, "fault", asked.append)
    notifier = start(Apprise("slack://x"), leads=lambda: leads)
    notifier._check()
    assert (asked, caplog.messages) == ([], [])


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


def test_a_name_and_a_password_in_an_address_are_sent_as_a_header_and_other_letters_as_they_must_be(receiver, start):
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
