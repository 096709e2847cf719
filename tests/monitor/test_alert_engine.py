"""When an alert begins, gets worse, calms down, ends, and is told."""

import json

import pytest

from otel_duckdb import contract
from otel_duckdb.core.operation import Operation
from otel_duckdb.monitor.alerts.engine import AlertEngine
from otel_duckdb.monitor.alerts.level import Level
from otel_duckdb.monitor.alerts.rule import make_rules
from otel_duckdb.monitor.ended import EndedOperations
from otel_duckdb.monitor.sample import Sample, Series
from otel_duckdb.monitor.statements import Statements
from otel_duckdb.settings import SettingError
from otel_duckdb.statement import parse

MEMORY = "DuckDBMemoryHigh"


class Told:
    """Follows an engine's alerts."""

    def __init__(self):
        self.begun = []
        self.late = []
        self.over = []

    def alerted(self, alert, *, tell):
        self.begun.append((alert.name, alert.level.word, tell))

    def resumed(self, alert):
        self.late.append((alert.name, alert.level.word))

    def ended(self, alert):
        self.over.append(alert.name)


class Run:
    """An engine, and samples of one database's memory, a second apart."""

    def __init__(self, **options):
        self.told, self.events, self.now = Told(), [], 1000.0
        self.leads = True
        rules = [rule for rule in make_rules(lasting=5, calming=10) if rule.name == MEMORY]
        emit = lambda event, payload: self.events.append((event, getattr(payload, "name", payload)))  # noqa: E731
        self.engine = AlertEngine(rules, [self.told], emit, leads=lambda: self.leads, **options)

    def sample(self, values, unix=None):
        self.now += 1
        self.engine.sampled(Sample(self.now + 1e9 if unix is None else unix, self.now, values))

    def seconds(self, number, share, database="db", cached=0.0):
        for _ in range(number):
            database_label = ("database", database)
            self.sample(
                {
                    Series(contract.MEMORY_BY_TAG.name, (database_label, ("tag", "ORDER_BY"))): share * 1000,
                    Series(contract.MEMORY_BY_TAG.name, (database_label, ("tag", "BASE_TABLE"))): cached * 1000,
                    Series(contract.MEMORY_LIMIT.name, (database_label,)): 1000.0,
                    Series(contract.MEMORY_USED.name, (database_label,)): (share + cached) * 1000,
                    Series(contract.PROCESS_MEMORY.name, ()): 5e6,
                }
            )

    @property
    def open(self):
        return self.engine.log.open_alerts()


@pytest.fixture
def run():
    return Run()


def test_an_alert_fires_after_its_time_and_not_before(run):
    run.seconds(5, 0.8)
    assert not run.open
    run.seconds(2, 0.8)
    (alert,) = run.open
    assert (alert.name, alert.level, alert.database, alert.value) == (MEMORY, Level.WARNING, "db", 0.8)
    assert alert.message == (
        "db: what DuckDB cannot drop takes 80.0% of its memory limit (above 75.0%);"
        " DuckDB counts 800 B, the process holds 4.8 MiB"
    )
    assert run.events == [
        ("alert", MEMORY),
        ("issue", {"type": "memory_high", "level": "warning", "message": alert.message}),
    ]


def test_a_peak_that_is_shorter_is_none(run):
    for _ in range(20):
        run.seconds(4, 0.99)
        run.seconds(1, 0.5)
    assert not run.told.begun


def test_what_is_merely_cached_is_no_alert(run):
    run.seconds(30, 0.1, cached=0.89)
    assert not run.open


def test_a_value_at_the_threshold_does_not_fire(run):
    run.seconds(30, 0.75)
    assert not run.open


def test_an_alert_gets_worse_at_once_and_keeps_its_peak(run):
    run.seconds(7, 0.8)
    run.seconds(7, 0.95)
    run.seconds(7, 0.98)
    run.seconds(3, 0.96)
    assert [level for _, level, _ in run.told.begun] == ["warning", "critical", "emergency"]
    (alert,) = run.open
    assert (alert.level, alert.peak, alert.value) == (Level.EMERGENCY, 0.98, 0.96)


def test_an_alert_leaves_below_a_lower_threshold_than_it_enters(run):
    run.seconds(7, 0.76)
    run.seconds(60, 0.70)  # below the threshold, above what it is left at
    assert run.open
    run.seconds(9, 0.6)
    run.seconds(1, 0.7)  # not yet calm
    run.seconds(10, 0.6)
    assert run.open
    run.seconds(2, 0.6)
    assert not run.open
    (over,) = run.engine.log.as_json()["resolved"]
    assert over["ended"] > over["started"]
    assert (over["peak"], run.told.over) == (0.76, [MEMORY])


def test_an_alert_calms_down_by_levels(run):
    run.seconds(7, 0.95)
    run.seconds(12, 0.78)
    (alert,) = run.open
    assert (alert.level, alert.worst) == (Level.WARNING, Level.CRITICAL)
    assert len(run.told.begun) == 1


def test_an_alert_that_comes_again_soon_is_logged_and_not_told_unless_it_is_worse():
    run = Run(cool_down=300)
    for _ in range(5):
        run.seconds(7, 0.8)
        run.seconds(12, 0.1)
    run.seconds(7, 0.95)
    assert [tell for _, _, tell in run.told.begun] == [True, False, False, False, False, True]
    assert len(run.engine.log.as_json()["resolved"]) == 5


def test_an_alert_that_comes_again_late_is_told():
    run = Run(cool_down=30)
    run.seconds(7, 0.8)
    run.seconds(50, 0.1)
    run.seconds(7, 0.8)
    assert [tell for _, _, tell in run.told.begun] == [True, True]


def test_an_alert_that_flaps_between_levels_is_told_of_each_once_within_the_cool_down():
    run = Run(cool_down=1000)
    for _ in range(5):
        run.seconds(7, 0.95)
        run.seconds(12, 0.78)
    assert [tell for _, _, tell in run.told.begun] == [True, False, False, False, False]


def test_a_silence_keeps_an_alert_from_being_told_until_it_ends(run):
    silence = run.engine.silences.add(run.now + 1e9, 60, name="DuckDBMemory.*", reason="a\nload test")
    run.seconds(7, 0.8)
    assert run.told.begun == [(MEMORY, "warning", False)]
    assert run.open[0].silenced
    shown = run.engine.as_json(run.now + 1e9)
    assert [one["reason"] for one in shown["silences"]] == ["a load test"]
    run.seconds(60, 0.8)
    assert run.engine.as_json(run.now + 1e9)["silences"] == []
    with pytest.raises(LookupError, match="it may be over"):
        run.engine.silences.end(silence.id)


def test_an_alert_that_lasts_longer_than_its_silence_is_told_when_that_ends(run):
    run.engine.silences.add(run.now + 1e9, 60)
    run.seconds(7, 0.8)
    assert (run.told.begun, run.told.late) == ([(MEMORY, "warning", False)], [])
    run.seconds(40, 0.95)
    assert run.told.begun[1:] == [(MEMORY, "critical", False)]
    run.seconds(30, 0.95)
    (alert,) = run.open
    assert (run.told.late, alert.silenced) == ([(MEMORY, "critical")], False)
    assert "95.0%" in alert.message
    assert len(run.events) == 4, "handlers hear of what is silenced, and of nothing twice"


def test_an_alert_says_that_it_is_silenced_as_soon_as_it_is(run):
    run.seconds(7, 0.8)
    (alert,) = run.open
    silence = run.engine.silences.add(run.now + 1e9, 60)
    run.seconds(1, 0.8)
    assert alert.silenced
    run.engine.silences.end(silence.id)
    run.seconds(1, 0.8)
    assert not alert.silenced
    assert (run.told.begun, run.told.late) == ([(MEMORY, "warning", True)], []), "what was told is not told again"


def test_an_alert_that_lasts_longer_than_the_cool_down_before_it_is_told_when_that_is_over():
    run = Run(cool_down=100)
    run.seconds(7, 0.8)
    run.seconds(12, 0.1)
    run.seconds(60, 0.8)
    assert run.told.begun == [(MEMORY, "warning", True), (MEMORY, "warning", False)]
    assert run.told.late == []
    run.seconds(60, 0.8)
    assert run.told.late == [(MEMORY, "warning")]


@pytest.mark.parametrize(("seconds", "name"), [(0, ".*"), (-1, ".*"), (float("nan"), ".*"), (60, "(")])
def test_a_silence_without_an_end_or_with_no_pattern_is_refused(run, seconds, name):
    with pytest.raises(SettingError):
        run.engine.silences.add(0, seconds, name=name)


def test_an_alert_whose_database_was_closed_ends(run):
    run.seconds(7, 0.8)
    for _ in range(12):
        run.sample({})
    assert not run.open
    for _ in range(400):
        run.sample({})
    assert not run.engine._states


def test_databases_are_judged_apart(run):
    for _ in range(7):
        run.seconds(1, 0.8, "a")
        run.now -= 1
        run.seconds(1, 0.2, "b")
    # Each sample has one of the two: what is missing in one is there in the next.
    assert [alert.database for alert in run.open] == ["a"]


def test_a_clock_that_jumps_neither_fires_nor_ends_an_alert(run):
    run.seconds(3, 0.8)
    label = (("database", "db"),)
    tag = (("database", "db"), ("tag", "ORDER_BY"))
    high = {Series(contract.MEMORY_BY_TAG.name, tag): 800.0, Series(contract.MEMORY_LIMIT.name, label): 1000.0}
    run.sample(high, unix=9e9)
    assert not run.open
    run.seconds(5, 0.8)
    run.sample(
        {one: value / 4 if one.metric != contract.MEMORY_LIMIT.name else value for one, value in high.items()}, 0
    )
    assert run.open


def test_who_does_not_lead_logs_and_tells_nobody(run):
    run.leads = False
    run.seconds(7, 0.95)
    assert run.open
    assert run.told.begun == [(MEMORY, "critical", False)]
    assert run.events == []
    run.leads = True
    run.seconds(2, 0.95)
    assert run.told.late == [(MEMORY, "critical")], "whoever led may have ended before it told"
    assert [event for event, _ in run.events] == ["alert", "issue"]


def test_flapping_for_a_day_keeps_a_bounded_log():
    run = Run(cool_down=0)
    for _ in range(1000):
        run.seconds(7, 0.8)
        run.seconds(12, 0.1)
    shown = run.engine.log.as_json()
    assert (len(shown["resolved"]), shown["dropped"], len(run.engine._states)) == (500, 500, 1)


def test_more_series_than_can_be_judged_are_left_out(run):
    values = {}
    for number in range(1000):
        label = ("database", f"db{number}")
        values[Series(contract.MEMORY_BY_TAG.name, (label, ("tag", "ORDER_BY")))] = 990.0
        values[Series(contract.MEMORY_LIMIT.name, (label,))] = 1000.0
    for _ in range(8):
        run.sample(values)
    assert len(run.open) == 200


def firing(name, measures, seconds):
    """The alerts of one rule of the process after so many samples, a second apart; `measures` makes each."""
    rules = [rule for rule in make_rules() if rule.name == name]
    engine = AlertEngine(rules)
    for second in range(seconds):
        measures(engine, second)
        engine.sampled(Sample(1e9 + second, float(second), {}))
    return engine.log.open_alerts()


def test_processors_that_are_busy_for_a_minute_are_an_alert_and_a_peak_is_none(monkeypatch):
    def busy(share):
        def measure(engine, second):
            monkeypatch.setattr(engine._process._cpu, "look", lambda: share if second % 30 or share > 0.9 else 0.1)

        return measure

    (alert,) = firing("DuckDBCpuHigh", busy(0.95), 70)
    assert (alert.level, alert.message) == (Level.CRITICAL, "95.0% of the machine's processors are busy (above 90.0%)")
    assert alert.rule.issue == "cpu_high"
    assert alert.metrics["system"] == {"cpu_usage_percent": 95.0}
    assert firing("DuckDBCpuHigh", busy(0.8), 70) == []


@pytest.mark.parametrize("each_second", [1, 20])
def test_a_statement_that_takes_several_times_as_long_as_it_used_to_is_an_alert(each_second):
    ended = EndedOperations()
    statements = Statements(ended)
    ended.followers = (statements,)
    rules = [rule for rule in make_rules() if rule.name == "DuckDBLatencyChanged"]

    def run(usual, now, seconds=200):
        engine = AlertEngine(rules, slower=statements.slower)
        for second in range(seconds):
            milliseconds = now(second) if second >= 100 else usual
            for part in range(each_second):
                operation = Operation("SELECT a FROM trades", parse("SELECT a FROM trades"))
                operation.execute_ns = int(milliseconds * 1e6)
                operation.start_unix_ns = int((second + part / each_second) * 1e9)
                operation.attributes = None
                ended.record(operation)
            engine.sampled(Sample(float(second), float(second), {}))
        return engine.log.open_alerts()

    (alert,) = run(10, lambda _: 100)
    assert alert.labels == {"database": "", "db.query.summary": "SELECT trades"}
    assert "SELECT trades: a statement takes" in alert.message
    assert (alert.level, alert.rule.issue) == (Level.WARNING, "latency_high")
    assert 5 < alert.value <= 10
    for usual, now in ((0.1, lambda _: 1), (10, lambda second: 5000 if second == 100 else 10), (10, lambda _: 25)):
        statements.reset()
        assert run(usual, now) == []  # nobody feels it; one that waited for something; not so much longer


def test_how_all_is_and_since_when_is_told(run):
    run.seconds(1, 0.1)
    assert (run.engine.word, run.engine.since) == ("healthy", 1e9 + 1001)
    run.seconds(7, 0.95)
    assert (run.engine.word, run.engine.since) == ("critical", run.open[0].started)
    since = run.engine.since
    run.seconds(5, 0.96)
    assert run.engine.since == since
    run.seconds(30, 0.1)
    assert run.engine.word == "healthy"
    assert run.engine.since > since


def test_a_silence_keeps_no_more_of_a_text_than_a_person_reads(run):
    silence = run.engine.silences.add(0, 60, name="half\udcff", reason="r" * 5_000_000)
    assert len(silence.reason) == 1024
    assert json.dumps(silence.as_json(), ensure_ascii=False).encode()
    with pytest.raises(SettingError, match="5000000 characters; allowed are 1024"):
        run.engine.silences.add(0, 60, name="a" * 5_000_000)
