"""When a statement became slower with another plan."""

import pytest

from otel_duckdb.core.profile import Operator, Profile
from otel_duckdb.monitor.statements.plans import Plans


def plans(*runs):
    """Each run is a plan's operator, and the milliseconds of three calls with it."""
    found = Plans()
    for moment, (kind, milliseconds) in enumerate(runs):
        for _ in range(3):
            found.add(
                Profile("", partial=False, operators=(Operator(kind, 0, 0, 0, {}, ()),)), milliseconds * 10**6, moment
            )
    return found


@pytest.mark.parametrize(
    ("runs", "times"),
    [
        ([("HASH_JOIN", 10)], None),
        ([("HASH_JOIN", 10), ("NESTED_LOOP_JOIN", 14)], None),
        ([("HASH_JOIN", 10), ("NESTED_LOOP_JOIN", 30)], 3),
        ([("HASH_JOIN", 10), ("NESTED_LOOP_JOIN", 30), ("HASH_JOIN", 10)], None),
        ([("NESTED_LOOP_JOIN", 30), ("HASH_JOIN", 10), ("NESTED_LOOP_JOIN", 30)], 3),
        ([("NESTED_LOOP_JOIN", 30), ("HASH_JOIN", 10)], None),
    ],
)
def test_the_present_plan_is_compared_with_the_one_before(runs, times):
    found = plans(*runs).regression
    assert (found and found["times"]) == (times and pytest.approx(times))


def test_few_plans_are_kept():
    assert len(plans(*((f"OPERATOR_{number}", 1) for number in range(20))).as_json()) == 5


def test_a_plan_as_deep_as_python_s_stack_is_passed_over():
    operator = Operator("FILTER", 0, 0, 0, {}, ())
    for _ in range(5000):
        operator = Operator("FILTER", 0, 0, 0, {}, (operator,))
    found = Plans()
    found.add(Profile("", partial=False, operators=(operator,)), 1, 0)
    assert found.as_json() == []
