"""The functions that stand in DuckDB's place.

In the place of a function of DuckDB's C module stands one of ours in C (`_wrapper.c`), so that DuckDB finds the frames
of the program alone: the variables that a query names, the line of a warning, the stack of a failed Python function.

In the place of a Python function of DuckDB 2, and of every function where the C module was not compiled, stands a
Python closure, and DuckDB resolves `select * from my_df` in the innermost Python frame, which is then ours:

* DuckDB 2 skips frames whose module is named `duckdb` or `duckdb.*`, so the closures get globals of that name. Its
  warnings name the first frame outside `duckdb._relation`, so it is this name.
* DuckDB 1 skips none. Where it misses a table, the call is made again inside the caller's names
  (`replacement_scans.py`).

Their names start with `_otel_` and their globals are empty, so that no query can mean them. They are plain closures:
a wrapping library costs four times as much on this path. No traceback shows them: Python adds a frame to a traceback
when an exception leaves a call in it, and not when it is raised again, so what was added is taken off.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any, Protocol

from otel_duckdb.intercept.dormancy import PROVIDERS, no_sdk
from otel_duckdb.telemetry.section import INSIDE, in_section, unless_inside

try:
    from otel_duckdb.intercept._wrapper import FunctionWrapper, Wrapper
except ImportError:
    FunctionWrapper = Wrapper = None  # type: ignore[assignment, misc] # not compiled: closures stand everywhere

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from otel_duckdb.intercept.dormancy import Dormancy

    Begin = Callable[[tuple[Any, ...], dict[str, Any]], Any]

_GLOBALS = {"__name__": "duckdb._relation", "__builtins__": builtins}
CALL = compile("_otel_original(*_otel_arguments, **_otel_keywords)", "<otel_duckdb>", "eval")
"""The call of what is wrapped, evaluated with other names than those of this module."""


class Faults(Protocol):
    """Who is told where code of ours did not come to its end in a call of the user's."""

    def report(self, fault: Exception) -> None:
        """A hook raised, and the user's call goes on."""

    def interrupted(self, call: Any, error: BaseException) -> None:
        """A hook was broken off by what is no Exception, as Ctrl-C is, which goes on to the user.

        `call` is what `begin` returned; None if it was broken off itself.
        """


class CallHook(Protocol):
    """What is done around one DuckDB call. A method's first argument is its object.

    Any of the methods may raise: the wrapper counts that, and the user's call goes on as if it were not recorded. So
    one that raises in the middle must have undone its own half; where a signal breaks one off, `Faults` is told.
    """

    def begin(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Before the call; None if the call is not to be recorded."""

    def succeed(self, call: Any, result: Any) -> Any:
        """After the call; returns what the user gets, which is `result` or one that cannot be told from it."""

    def fail(self, call: Any, error: BaseException) -> None:
        """After the call raised."""


class GoingOn:
    """Base of hooks that only go on with an operation, and begin none: an SDK set up since is nothing to them."""


class BeginOnly:
    """Base of hooks that act before the call alone: their `begin` returns None, so nothing comes after it."""

    def succeed(self, _call: Any, result: Any) -> Any:
        """Change nothing."""
        return result

    def fail(self, _call: Any, _error: BaseException) -> None:
        """Do nothing."""


class SectionedHook:
    """A hook whose code is marked while it runs, and that passes calls on which are made inside such code."""

    def __init__(self, hook: CallHook, dormancy: Dormancy | None) -> None:
        """Mark the methods of `hook`, which begins nothing in a dormancy; the C module does both by itself."""
        self.begin: Begin = unless_inside(hook.begin)
        if dormancy is not None and dormancy.lasts:
            self.begin = _unless_dormant(self.begin, dormancy)
        self.succeed = in_section(hook.succeed)
        self.fail = in_section(hook.fail)


def _unless_dormant(begin: Begin, dormancy: Dormancy) -> Begin:
    def begin_heard(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        return None if dormancy.lasts and no_sdk() else begin(arguments, keywords)

    return begin_heard


class Scan(Protocol):
    """Makes a call of DuckDB 1 again, or at once, inside the caller's names."""

    def first(self, arguments: tuple[Any, ...], frame: FrameType) -> bool:
        """Whether the call must not be made outside the caller's names at all."""

    def missed(self, error: BaseException, arguments: tuple[Any, ...], frame: FrameType) -> bool:
        """Whether the error says that a table was not found that may be a variable of `frame`."""

    def again(
        self, frame: FrameType, original: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:
        """Make the call inside the names of `frame`."""


def _placed(function: Any, original: Any) -> Any:
    placed = FunctionType(function.__code__, _GLOBALS, function.__name__, function.__defaults__, function.__closure__)
    return likened(placed, original)


def likened(replacement: Any, original: Any) -> Any:
    """The replacement, with every attribute that the original has."""
    functools.update_wrapper(replacement, original)
    for name in dir(original):
        if not hasattr(replacement, name):
            with contextlib.suppress(AttributeError, TypeError):
                setattr(replacement, name, getattr(original, name))
    return replacement


def _take_off(error: BaseException, frames: int) -> None:
    """Take the outermost frames off the traceback of an exception that is about to be raised again."""
    traceback = error.__traceback__
    for _ in range(frames):
        traceback = None if traceback is None else traceback.tb_next
    error.__traceback__ = traceback


def has_frame(original: Any) -> bool:
    """Whether what stands in the place of `original` is a Python closure, and has a frame that DuckDB finds."""
    return Wrapper is None or isinstance(original, FunctionType)


def wrapped(original: Any, hook: CallHook, faults: Faults, dormancy: Dormancy | None = None) -> Any:
    """A function that calls the original with `hook` around it; what the hook raises goes to `faults`.

    With a `dormancy` the hook is not asked while that lasts.
    """
    if has_frame(original):
        return _closure(original, SectionedHook(hook, dormancy), faults)
    # DuckDB 1 wraps its C functions in an instancemethod, which is one call more.
    function = getattr(original, "__func__", original)
    kind = Wrapper if hasattr(type(original), "__get__") else FunctionWrapper
    told = hook.begin, hook.succeed, hook.fail, faults.report, faults.interrupted
    wrapper = kind(function, *told, INSIDE, () if isinstance(hook, GoingOn) else PROVIDERS, dormancy is not None)
    if dormancy is not None:
        dormancy.add(wrapper)
    return likened(wrapper, original)


def _safely(action: Callable[[Any, Any], Any], call: Any, outcome: Any, faults: Faults) -> Any:
    try:
        return action(call, outcome)
    except Exception as fault:
        faults.report(fault)
        return outcome
    except BaseException as error:
        faults.interrupted(call, error)
        raise


def _closure(_otel_original: Callable[..., Any], hook: CallHook, _otel_faults: Faults, _otel_frames: int = 1) -> Any:
    """The closure in Python; of so many `frames` of ours, the original adds all but one."""
    _otel_begin, _otel_succeed, _otel_fail = hook.begin, hook.succeed, hook.fail
    _otel_take_off, _otel_safely = _take_off, _safely

    def call(*_otel_arguments: Any, **_otel_keywords: Any) -> Any:
        try:
            _otel_call = _otel_begin(_otel_arguments, _otel_keywords)
        except Exception as _otel_fault:
            _otel_call = None
            _otel_faults.report(_otel_fault)
        except BaseException as _otel_error:
            _otel_faults.interrupted(None, _otel_error)
            raise
        try:
            _otel_result = _otel_original(*_otel_arguments, **_otel_keywords)
        except BaseException as _otel_error:
            _otel_take_off(_otel_error, _otel_frames)
            if _otel_call is not None:
                _otel_safely(_otel_fail, _otel_call, _otel_error, _otel_faults)
            raise
        if _otel_call is None:
            return _otel_result
        try:
            return _otel_succeed(_otel_call, _otel_result)
        except Exception as _otel_fault:
            _otel_faults.report(_otel_fault)
            return _otel_result
        except BaseException as _otel_error:
            _otel_faults.interrupted(_otel_call, _otel_error)
            raise

    return _placed(call, _otel_original)


def wrapped_scanning(  # noqa: C901 - a helper would cost every call a frame, and come between DuckDB and the caller's
    _otel_original: Callable[..., Any], hook: CallHook, _otel_faults: Faults, dormancy: Dormancy | None, scan: Scan
) -> Any:
    """The closure for DuckDB 1, where a query may mean variables of the caller."""
    hook = SectionedHook(hook, dormancy)
    _otel_begin, _otel_succeed, _otel_fail = hook.begin, hook.succeed, hook.fail
    _otel_first, _otel_missed, _otel_again = scan.first, scan.missed, scan.again
    _otel_frame, _otel_take_off, _otel_safely = sys._getframe, _take_off, _safely

    def call(*_otel_arguments: Any, **_otel_keywords: Any) -> Any:  # noqa: C901, PLR0912 - a helper would cost each call a frame
        try:
            _otel_call = _otel_begin(_otel_arguments, _otel_keywords)
        except Exception as _otel_fault:
            _otel_call = None
            _otel_faults.report(_otel_fault)
        except BaseException as _otel_error:
            _otel_faults.interrupted(None, _otel_error)
            raise
        if not _otel_first(_otel_arguments, _otel_frame(1)):
            try:
                _otel_result = _otel_original(*_otel_arguments, **_otel_keywords)
            except BaseException as _otel_error:
                if not _otel_missed(_otel_error, _otel_arguments, _otel_frame(1)):
                    _otel_take_off(_otel_error, 1)
                    if _otel_call is not None:
                        _otel_safely(_otel_fail, _otel_call, _otel_error, _otel_faults)
                    raise
            else:
                if _otel_call is None:
                    return _otel_result
                try:
                    return _otel_succeed(_otel_call, _otel_result)
                except Exception as _otel_fault:
                    _otel_faults.report(_otel_fault)
                    return _otel_result
                except BaseException as _otel_error:
                    _otel_faults.interrupted(_otel_call, _otel_error)
                    raise
        try:
            _otel_result = _otel_again(_otel_frame(1), _otel_original, _otel_arguments, _otel_keywords)
        except BaseException as _otel_error:
            _otel_take_off(_otel_error, 3)
            if _otel_call is not None:
                _otel_safely(_otel_fail, _otel_call, _otel_error, _otel_faults)
            raise
        if _otel_call is None:
            return _otel_result
        return _otel_safely(_otel_succeed, _otel_call, _otel_result, _otel_faults)

    return _placed(call, _otel_original)


def wrapped_warning(
    _otel_original: Callable[..., Any], hook: CallHook, faults: Faults, dormancy: Dormancy | None
) -> Any:
    """The closure for a method of DuckDB 1 that warns: its warning names the caller's file and line.

    DuckDB warns of the innermost Python frame; the call is made from code that says it stands where the caller stands.
    """
    _otel_there, _otel_frame = call_from, sys._getframe

    def original(*_otel_arguments: Any, **_otel_keywords: Any) -> Any:
        return _otel_there(_otel_frame(2), _otel_original, _otel_arguments, _otel_keywords)

    sectioned = SectionedHook(hook, dormancy)
    return likened(_closure(_placed(original, _otel_original), sectioned, faults, 4), _otel_original)


def call_from(
    frame: FrameType, original: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> Any:
    """Make a call from the line, and with the globals, of `frame`."""
    place = frame.f_code
    code = CALL.replace(co_filename=place.co_filename, co_name=place.co_name, co_firstlineno=frame.f_lineno)
    names = {"_otel_original": original, "_otel_arguments": arguments, "_otel_keywords": keywords}
    try:
        return eval(code, frame.f_globals, names)  # noqa: S307 - the code is the constant above
    finally:
        names.clear()
        del frame, arguments, keywords
