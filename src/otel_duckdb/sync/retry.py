"""Which faults of the target pass, and how long they are borne."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

import tenacity
from clickhouse_connect.driver.exceptions import Error, OperationalError
from urllib3.exceptions import HTTPError

from otel_duckdb.sync.messages import TOO_MANY_PARTITIONS
from otel_duckdb.sync.transport import AnswerTooLargeError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from otel_duckdb.sync.config import Retry

T = TypeVar("T")

TRANSIENT_CODES: Final = frozenset(
    {
        3,  # UNEXPECTED_END_OF_FILE: the body was cut
        23,  # CANNOT_READ_FROM_ISTREAM
        32,  # ATTEMPT_TO_READ_AFTER_EOF
        33,  # CANNOT_READ_ALL_DATA
        95,  # CANNOT_READ_FROM_SOCKET
        96,  # CANNOT_WRITE_TO_SOCKET
        159,  # TIMEOUT_EXCEEDED
        160,  # TOO_SLOW
        198,  # DNS_ERROR
        201,  # QUOTA_EXCEEDED: it renews itself
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        225,  # NO_ZOOKEEPER
        236,  # ABORTED: the server shuts down
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY: the replica has lost its Keeper
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        254,  # NO_ACTIVE_REPLICAS
        279,  # ALL_CONNECTION_TRIES_FAILED
        285,  # TOO_FEW_LIVE_REPLICAS
        286,  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
        289,  # REPLICA_IS_NOT_IN_QUORUM
        319,  # UNKNOWN_STATUS_OF_INSERT
        394,  # QUERY_WAS_CANCELLED
        425,  # SYSTEM_ERROR
        439,  # CANNOT_SCHEDULE_TASK
        473,  # DEADLOCK_AVOIDED
        499,  # S3_ERROR
        517,  # CANNOT_ASSIGN_ALTER
        999,  # KEEPER_EXCEPTION
        1000,  # POCO_EXCEPTION: the network, mostly
    }
)
_CODE: Final = re.compile(r"\b[Cc]ode: (\d+)")
_STATUS: Final = re.compile(r"HTTP status (\d+)")
_PASSING_STATUSES: Final = frozenset({408, 425, 429})
_FIRST_SERVER_STATUS: Final = 500


def code_of(error: BaseException) -> int | None:
    """The number of ClickHouse's error, None where ClickHouse did not answer with one."""
    code = getattr(error, "code", None)
    if isinstance(code, int):
        return code
    found = _CODE.search(str(error))
    return int(found[1]) if found else None


def transient(error: BaseException) -> bool:
    """Whether trying again may help; what is not known to pass does not."""
    if isinstance(error, AnswerTooLargeError):
        return False
    code = code_of(error)
    if code is not None:
        return code in TRANSIENT_CODES and TOO_MANY_PARTITIONS not in str(error)
    status = _STATUS.search(str(error))
    if status:
        return int(status[1]) >= _FIRST_SERVER_STATUS or int(status[1]) in _PASSING_STATUSES
    if isinstance(error, Error):
        return isinstance(error, OperationalError)
    return isinstance(error, (OSError, HTTPError))


def call(
    function: Callable[[], T],
    policy: Retry,
    stopping: threading.Event,
    rest: Callable[[float], None],
    report: Callable[[int, float, BaseException], None],
) -> T:
    """Call until it succeeds, or fails for good; `report` hears of each retry: its attempt, delay in s, and why.

    `rest` waits between two attempts. Raises the last error as it came.
    """
    failed: list[BaseException] = []

    def attempt() -> T:
        if failed and stopping.is_set():  # it was set during the rest, so there is no further attempt
            raise failed[-1]
        return function()

    def before_sleep(state: tenacity.RetryCallState) -> None:
        if state.outcome is not None and state.next_action is not None:
            error = state.outcome.exception()
            if error is not None:
                failed.append(error)
                report(state.attempt_number + 1, state.next_action.sleep, error)

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(transient),
        stop=tenacity.stop_any(
            tenacity.stop_after_attempt(policy.attempts),
            tenacity.stop_before_delay(policy.seconds),
            tenacity.stop_when_event_set(stopping),
        ),
        wait=tenacity.wait_exponential(policy.initial_delay, policy.max_delay)
        + tenacity.wait_random(0, policy.initial_delay),
        sleep=rest,
        before_sleep=before_sleep,
        reraise=True,
    )
    return retrying(attempt)
