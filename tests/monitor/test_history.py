"""The tiers of the history: what is kept, how coarse it gets, and clocks that jump."""

import pytest

from otel_duckdb import contract
from otel_duckdb.monitor.history import History
from otel_duckdb.monitor.history.tier import Point, Resolution, Tier
from otel_duckdb.monitor.sample import Sample, Series

USED = Series(contract.MEMORY_USED.name, (("database", "x"),))
CPU = Series(contract.PROCESS_CPU_TIME.name, ())


def sample(seconds, value, series=USED, clock=1_000_000.0):
    return Sample(clock + seconds, seconds, {series: value})


def test_a_step_keeps_the_least_the_mean_and_the_most():
    tier = Tier(Resolution(10, 6))
    for second, value in enumerate([4, 2, 9]):
        tier.add(1000 + second, value)
    assert tier.at(100) == Point(2, 5, 9)


def test_steps_without_a_sample_are_gaps_and_old_ones_are_gone():
    tier = Tier(Resolution(1, 5))
    for second in (1, 2, 5, 7):
        tier.add(second, second)
    assert [tier.at(second) for second in range(1, 9)] == [
        None,
        None,
        None,
        None,
        Point(5, 5, 5),
        None,
        Point(7, 7, 7),
        None,
    ]


def test_a_long_pause_leaves_nothing_of_before():
    tier = Tier(Resolution(1, 5))
    for second in range(10):
        tier.add(second, second)
    tier.add(1_000_000, 1)
    assert [tier.at(1_000_000 - back) for back in range(6)] == [Point(1, 1, 1), None, None, None, None, None]


def test_a_counter_is_kept_as_its_growth_a_second_and_a_reset_is_no_growth(monkeypatch):
    history = History()
    monkeypatch.setattr("time.time", lambda: 1_000_005.0)
    for second, value in ((0, 10.0), (2, 14.0), (3, 1.0), (4, 2.5)):
        history.sampled(sample(second, value, CPU))
    [told] = history.as_json(start=1_000_000, end=1_000_004, step=1)["series"]
    assert told["mean"] == [None, None, 2.0, None, 1.5]
    assert told["unit"] == "s/s"


def test_a_range_is_told_in_the_finest_resolution_that_reaches_back(monkeypatch):
    history = History()
    for second in range(200):
        history.sampled(sample(second, second))
    monkeypatch.setattr("time.time", lambda: 1_000_199.0)
    fine = history.as_json(start=1_000_190, end=1_000_199)
    assert fine["step"] == 1
    assert fine["series"][0]["mean"] == list(range(190, 200))
    coarse = history.as_json(start=1_000_020, end=1_000_199, step=20)
    assert coarse["step"] == 20
    assert coarse["series"][0]["min"][0] == 20
    assert coarse["series"][0]["max"][0] == 39
    day = history.as_json(start=1_000_199 - 86_000, end=1_000_199)
    assert day["step"] == 180
    assert [value for value in day["series"][0]["mean"] if value is not None]


def test_more_series_than_the_limit_are_left_out_and_counted():
    history = History(limit=2)
    values = {Series("a", (("n", str(number)),)): 1.0 for number in range(5)}
    for second in range(3):
        history.sampled(Sample(1000.0 + second, second, values))
    told = history.as_json(start=999, end=1010)
    assert (len(told["series"]), told["left_out"]) == (2, 3)


def test_what_tells_of_single_tables_leaves_room_for_what_tells_of_the_database():
    history = History(limit=3)
    tables = {Series("rate", ((contract.TABLE_NAME, str(number)),)): 1.0 for number in range(9)}
    for second in range(3):
        history.sampled(Sample(1000.0 + second, float(second), tables))
    for second in range(3, 6):
        history.sampled(Sample(1000.0 + second, float(second), tables | {USED: 1.0, CPU: 1.0}))
    told = {series["metric"] for series in history.as_json(start=999, end=1010)["series"]}
    assert told == {"rate", USED.metric, CPU.metric}
    assert (history.dropped, history.left_out) == (2, 8)


def test_a_clock_that_is_set_takes_all_that_was_kept_along(monkeypatch):
    history = History()
    for second in range(60):
        history.sampled(sample(second, second))
    for second in range(60, 70):
        history.sampled(sample(second, second, clock=1_000_000.0 - 30))
    monkeypatch.setattr("time.time", lambda: 1_000_039.0)
    [told] = history.as_json(start=1_000_000, end=1_000_039, step=1)["series"]
    assert told["mean"] == list(range(30, 70))


@pytest.mark.parametrize("days", [1, 3650, -1, -3650])
def test_a_clock_that_jumps_far_and_back_loses_nothing(monkeypatch, days):
    history, clock = History(), 1_000_000_000.0
    for second in range(100):
        history.sampled(sample(second, second, clock=clock))
    for second in range(100, 103):
        history.sampled(sample(second, second, clock=clock + days * 86_400))
    for second in range(103, 110):
        history.sampled(sample(second, second, clock=clock))
    monkeypatch.setattr("time.time", lambda: clock + 109)
    told = history.as_json(start=clock, end=clock + 109, step=1)
    assert told["times"][0] == clock
    assert told["series"][0]["mean"] == list(range(110))
    coarse = history.as_json(start=clock, end=clock + 109, step=60)["series"][0]
    assert min(value for value in coarse["min"] if value is not None) == 0


def test_a_clock_that_creeps_and_is_put_right_makes_no_gap(monkeypatch):
    history = History()
    monkeypatch.setattr("time.time", lambda: 1_000_099.0)
    for second in range(100):
        history.sampled(sample(second, second, clock=1_000_000.0 - second * 0.01))
    told = history.as_json(start=1_000_000, end=1_000_099, step=1)["series"][0]["mean"]
    assert told == list(range(100))


@pytest.mark.parametrize("step", [0, -1, float("nan"), float("inf")])
def test_a_step_that_makes_no_sense_is_refused(step):
    with pytest.raises(ValueError, match="step is"):
        History().as_json(start=0, end=10, step=step)


def test_limits_of_databases_are_not_added_up():
    def series(metric, database):
        return Series(metric.name, (("database", database),))

    values = {
        series(contract.MEMORY_USED, "full"): 90.0,
        series(contract.MEMORY_LIMIT, "full"): 100.0,
        series(contract.MEMORY_USED, "idle"): 0.0,
        series(contract.MEMORY_LIMIT, "idle"): 100.0,
        series(contract.MEMORY_USED, "without a limit"): 500.0,
    }
    found = Sample(0.0, 0.0, values)
    assert found.fullest(contract.MEMORY_USED, contract.MEMORY_LIMIT) == (90.0, 100.0)
    assert found.total(contract.MEMORY_USED) == 590.0
    assert found.fullest(contract.DISK_USAGE, contract.MAX_DISK_USAGE) is None


def test_a_new_series_takes_the_place_of_one_that_is_gone():
    history = History(limit=2)
    for second in range(300):
        name = "old" if second < 100 else "new"
        values = {Series("a", (("n", f"{name} {number}"),)): 1.0 for number in range(2)}
        history.sampled(Sample(1000.0 + second, float(second), values))
    told = {series["labels"]["n"] for series in history.as_json(start=999, end=1400)["series"]}
    assert (told, history.dropped, history.left_out) == ({"new 0", "new 1"}, 2, 0)


def test_a_value_that_a_float_cannot_hold_is_a_gap():
    history = History()
    history.sampled(Sample(1000.0, 0.0, {USED: 1e300}))
    assert set(history.as_json(start=999, end=1001, step=1)["series"][0]["mean"]) == {None}


def test_a_year_is_looked_up_as_quickly_as_the_day_that_is_kept(monkeypatch):
    history = History()
    history.sampled(sample(0, 1.0))
    asked = []
    at = Tier.at
    monkeypatch.setattr(Tier, "at", lambda tier, step: asked.append(step) or at(tier, step))
    monkeypatch.setattr("time.time", lambda: 1_000_000.0)
    [told] = history.as_json(start=-30_000_000, end=1_000_000)["series"]
    assert [value for value in told["mean"] if value is not None] == [1.0]
    assert len(asked) <= 1440
