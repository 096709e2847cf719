"""Telling people: who is told when, in which order and how often, however they behave."""

import os
import time

import pytest

from eventually import eventually
from otel_duckdb.monitor.alerts.level import Level
from otel_duckdb.monitor.notification.senders import Apprise, Webhook


def test_the_end_of_an_alert_is_told_if_its_beginning_was(alert, receiver, start):
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


def test_several_alerts_are_one_message(alert, receiver, start):
    notifier = start(Webhook(receiver.url), batch_seconds=0.3, batch_size=50)
    for number in range(7):
        notifier.alerted(alert(number), tell=True)
    eventually(lambda: receiver.posted)
    assert [len(posted["attachments"]) for _, posted in receiver.posted] == [7]
    assert receiver.posted[0][1]["text"] == "DuckDB Alert: CRITICAL - DuckDBMemoryHigh and 6 more"


def test_a_full_batch_and_an_emergency_do_not_wait(alert, receiver, start):
    notifier = start(Webhook(receiver.url), batch_seconds=60, batch_size=3)
    for number in range(3):
        notifier.alerted(alert(number), tell=True)
    eventually(lambda: len(receiver.posted) == 1)
    notifier.alerted(alert(9, Level.EMERGENCY), tell=True)
    eventually(lambda: len(receiver.posted) == 2)


def test_what_fails_for_a_moment_is_sent_again_and_the_log_has_every_attempt(alert, receiver, start, faults):
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
def test_what_is_refused_is_not_sent_for_ever_and_one_line_says_so(alert, receiver, start, faults, status, caplog):
    receiver.answers += [status] * 9
    told = alert()
    start(Webhook(receiver.url)).alerted(told, tell=True)
    eventually(lambda: told.notifications and told.notifications[-1]["result"] == "failed")
    assert len(receiver.posted) == 1
    assert faults.counted
    eventually(lambda: caplog.messages)
    expected = f"otel_duckdb: webhook 127.0.0.1 was not told of DuckDBMemoryHigh (critical): HTTP {status}"
    assert [message[: len(expected)] for message in caplog.messages] == [expected]


def test_a_webhook_that_hangs_hinders_neither_the_monitor_nor_the_next(alert, receiver, start):
    receiver.answers += ["hang"]
    told = alert()
    notifier = start(Webhook(receiver.url, timeout=0.3))
    began = time.monotonic()
    notifier.alerted(told, tell=True)
    assert time.monotonic() - began < 0.1
    eventually(lambda: told.notifications and told.notifications[-1]["result"] == "sent")


def test_one_that_is_away_does_not_keep_the_others_from_being_told(alert, receiver, start):
    told, next_one = alert(1), alert(2)
    notifier = start(Webhook("http://127.0.0.1:9/x", timeout=0.3), Webhook(receiver.url), waits=(60, 60))
    for one in (told, next_one):
        notifier.alerted(one, tell=True)
        eventually(lambda one=one: [note for note in one.notifications if note["result"] == "sent"])
    first = told.notifications[0]
    assert (first["result"], first["error"]) == ("trying again", "ConnectionRefusedError: Connection refused")


def test_what_one_could_not_be_told_comes_in_its_order(alert, receiver, start):
    receiver.answers += [500, 500]
    notifier = start(Webhook(receiver.url))
    for number in range(3):
        notifier.alerted(alert(number), tell=True)
    wanted = ["a0", "a1", "a2"]
    eventually(lambda: [one["id"] for _, body in receiver.posted[2:] for one in body["alerts"]] == wanted)


def test_the_queue_is_bounded_and_what_is_dropped_is_told(alert, start, faults):
    notifier = start(Webhook("http://127.0.0.1:9/x"), batch_seconds=60, batch_size=1000)
    alerts = [alert(number) for number in range(150)]
    for one in alerts:
        notifier.alerted(one, tell=True)
    assert sum(note["result"] == "dropped" for one in alerts for note in one.notifications) == 50
    assert faults.counted == [("notification", "OverflowError")] * 50


def test_the_program_ends_in_time_though_nobody_answers(alert, start):
    told = alert()
    notifier = start(Webhook("http://127.0.0.1:9/x"), waits=(60, 60))
    notifier.alerted(told, tell=True)
    time.sleep(0.1)
    began = time.monotonic()
    notifier.stop()
    assert time.monotonic() - began < 4


def test_what_waits_at_the_end_is_sent(alert, receiver, start):
    notifier = start(Webhook(receiver.url), batch_seconds=60)
    notifier.alerted(alert(), tell=True)
    notifier.stop()
    assert len(receiver.posted) == 1


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
