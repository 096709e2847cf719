"""What a hook of ours raises is counted, and the wrapped call goes on as it would without us."""

import math

import pytest

from otel_duckdb.intercept.wrappers import wrapped


def in_python(number):
    return math.sqrt(number)


class Hook:
    """Takes down what it hears, and raises in one of its methods."""

    def __init__(self, raising=None, error=LookupError):
        self.heard = []
        self._raising = raising
        self._error = error

    def _hear(self, method, *told):
        self.heard.append((method, *told))
        if method == self._raising:
            raise self._error(method)

    def begin(self, arguments, keywords):
        self._hear("begin", arguments, keywords)
        return "entered"

    def succeed(self, call, result):
        self._hear("succeed", call, result)
        return -result

    def fail(self, call, error):
        self._hear("fail", call, type(error))


class Faults:
    """Takes down what the wrapper tells of the hook."""

    def __init__(self):
        self.reported = []
        self.told = []

    def report(self, fault):
        self.reported.append(fault)

    def interrupted(self, call, error):
        self.told.append((call, type(error)))


@pytest.fixture(params=[math.sqrt, in_python], ids=["in C", "in Python"])
def original(request):
    return request.param


def test_a_hook_stands_before_and_after_the_call(original):
    hook, faults = Hook(), Faults()
    function = wrapped(original, hook, faults)
    assert function(4.0) == -2.0
    with pytest.raises(ValueError, match="domain"):
        function(-1.0)
    assert [heard[0] for heard in hook.heard] == ["begin", "succeed", "begin", "fail"]
    assert hook.heard[-1] == ("fail", "entered", ValueError)
    assert not faults.reported


def test_one_that_raises_before_the_call_is_counted_and_not_told_of_its_end(original):
    hook, faults = Hook("begin"), Faults()
    function = wrapped(original, hook, faults)
    assert function(4.0) == 2.0
    with pytest.raises(ValueError, match="domain"):
        function(-1.0)
    assert [heard[0] for heard in hook.heard] == ["begin", "begin"]
    assert [str(fault) for fault in faults.reported] == ["begin", "begin"]


def test_one_that_raises_after_the_call_leaves_the_result(original):
    hook, faults = Hook("succeed"), Faults()
    assert wrapped(original, hook, faults)(4.0) == 2.0
    assert [str(fault) for fault in faults.reported] == ["succeed"]


def test_one_that_raises_after_a_failed_call_leaves_the_error(original):
    hook, faults = Hook("fail"), Faults()
    with pytest.raises(ValueError, match="domain"):
        wrapped(original, hook, faults)(-1.0)
    assert [str(fault) for fault in faults.reported] == ["fail"]


@pytest.mark.parametrize(
    ("method", "number", "call"), [("begin", 4.0, None), ("succeed", 4.0, "entered"), ("fail", -1.0, "entered")]
)
def test_ctrl_c_in_a_hook_is_the_program_s_and_told_of(original, method, number, call):
    hook, faults = Hook(method, KeyboardInterrupt), Faults()
    with pytest.raises(KeyboardInterrupt) as raised:
        wrapped(original, hook, faults)(number)
    assert not faults.reported
    assert faults.told == [(call, KeyboardInterrupt)]
    assert isinstance(raised.value.__context__, ValueError) == (method == "fail")
