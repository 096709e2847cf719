"""Runs the stand-in as a process of its own: `python -m clickhouse_standin --path DIRECTORY [--port PORT]`.

It prints one line of JSON with its ports when it serves, and ends on SIGTERM or SIGINT; with `--until-stdin-ends` also
when its standard input ends, so that it does not outlive the program that started it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from clickhouse_standin.engine import Engine
from clickhouse_standin.server import Control, Server
from clickhouse_standin.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable


def _when_stdin_ends(action: Callable[[], None]) -> None:
    while os.read(sys.stdin.fileno(), 4096):  # not sys.stdin.read: its lock would hold up the end of the process
        pass
    action()


def main() -> int:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(
        prog="clickhouse_standin", description="chDB behind ClickHouse's HTTP interface, on 127.0.0.1"
    )
    parser.add_argument("--path", type=Path, help="the directory of the data")
    parser.add_argument("--upstream", help="the address of a real server to pass requests on to, in place of chDB")
    parser.add_argument("--port", type=int, default=0, help="the port to listen on; 0 takes a free one")
    parser.add_argument("--until-stdin-ends", action="store_true", help="stop when standard input ends")
    options = parser.parse_args()

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if bool(options.path) == bool(options.upstream):
        parser.error("give --path or --upstream")
    engine = Engine(options.path) if options.path else None
    server = Server(engine, options.port, Upstream(options.upstream) if options.upstream else None)
    server.accept()
    control = Control(server)
    threading.Thread(target=control.serve_forever, name="control", daemon=True).start()
    if options.until_stdin_ends:
        threading.Thread(target=_when_stdin_ends, args=(stop.set,), name="stdin", daemon=True).start()
    print(json.dumps({"port": server.port, "control": control.port}), flush=True)

    stop.wait()
    server.refuse()
    control.shutdown()
    if engine is not None:
        engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
