"""A stand-in for a ClickHouse server: chDB, the same engine, behind ClickHouse's HTTP interface on loopback.

It serves the tests and `make stack` where no ClickHouse server can be installed. It is not one: it has no users,
no TLS, no native TCP protocol and no sessions, and it answers a whole result at once.
"""

from clickhouse_standin.faults import Fault, Kind
from clickhouse_standin.process import StandIn

__all__ = ["Fault", "Kind", "StandIn"]
