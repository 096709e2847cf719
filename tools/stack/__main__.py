"""Runs the pipeline until Ctrl-C or SIGTERM, and prints where its parts are."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

from stack.part import StartError
from stack.pipeline import Stack
from stack.programs import ROOT, Programs

_LOOK_AFTER = 0.5


def main() -> int:
    """Return 0 when told to stop, 1 where a part did not start or ended by itself; then its log is kept."""
    signal.signal(signal.SIGTERM, _interrupt)
    cache = ROOT / ".cache" / "stack"
    cache.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="run-", dir=cache))
    try:
        _run(Stack(Programs.find(), directory))
    except KeyboardInterrupt:
        shutil.rmtree(directory)
    except (StartError, RuntimeError) as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    return 0


def _run(stack: Stack) -> NoReturn:
    """Run until interrupted. Raises StartError where a part ends by itself."""
    try:
        stack.start()
        _show(stack)
        while True:
            time.sleep(_LOOK_AFTER)
            stack.check()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running
        stack.stop()


def _show(stack: Stack) -> None:
    for name, address in stack.addresses.items():
        print(f"{name:22} {address}")
    print(f"{'Logs':22} {stack.logs}\n")
    print(f"Send to it:  export OTEL_EXPORTER_OTLP_ENDPOINT={stack.otlp_endpoint}")
    print("             export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")
    print("Stop it:     Ctrl-C", flush=True)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
