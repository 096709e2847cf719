"""The look at the frames for OpenTelemetry's SDK: in C, and its twin in Python."""

import gc
import sys
import threading
import weakref

import pytest

from otel_duckdb.telemetry import _section, section

BOTH = pytest.mark.parametrize("look", [_section.inside_the_sdk, section.python_inside_the_sdk])
LOCKING, CALLBACKS = (
    "/x/opentelemetry/sdk/metrics/_internal/aggregation.py",
    "/x/opentelemetry/sdk/metrics/_internal/instrument.py",
)


def called_from(file, look):
    """What `look` says where a function of this file calls it."""
    names = {"look": look}
    exec(compile("def call():\n    return look()", file, "exec"), names)
    return names["call"]()


@BOTH
def test_tells_the_sdk_from_a_callback_of_its_instruments_and_from_the_program(look):
    assert called_from(LOCKING, look) is True
    assert called_from(CALLBACKS, look) is False
    assert called_from("/x/opentelemetry/trace/__init__.py", look) is False
    assert called_from("/x/program.py", look) is False


@BOTH
def test_the_innermost_of_both_decides(look):
    assert called_from(LOCKING, lambda: called_from(CALLBACKS, look)) is False
    assert called_from(CALLBACKS, lambda: called_from(LOCKING, look)) is True
    assert called_from(LOCKING, lambda: called_from("/x/program.py", look)) is True


@BOTH
def test_looks_through_generators_deep_stacks_and_in_every_thread(look):
    def generate():
        yield look()

    def descend(depth):
        return descend(depth - 1) if depth else next(generate())

    assert called_from(LOCKING, lambda: descend(500)) is True
    found = []
    thread = threading.Thread(target=lambda: found.append(called_from(LOCKING, look)))
    thread.start()
    thread.join()
    assert found == [True]


@BOTH
def test_takes_no_file_for_another_that_had_its_place_in_memory(look):
    for number in range(3000):
        file = f"/{number}/opentelemetry/sdk/trace.py" if number % 3 == 0 else f"/{number}/program/of/the/user.py"
        assert called_from(file, look) is (number % 3 == 0), file
        del file


@BOTH
def test_keeps_no_variable_of_a_frame_alive(look):
    class Thing:
        pass

    def call():
        thing = Thing()
        look()
        return weakref.ref(thing)

    gc.disable()
    try:
        assert call()() is None
    finally:
        gc.enable()


@BOTH
def test_holds_no_more_files_than_its_room_allows(look):
    files = [f"/some/where/else/program_{number}.py" for number in range(20_000)]
    before = [sys.getrefcount(file) for file in files]
    for file in files:
        called_from(file, look)
    held = sum(after > count for after, count in zip(map(sys.getrefcount, files), before, strict=True))
    assert held <= 10_000
