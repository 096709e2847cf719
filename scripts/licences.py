"""Lists the licences of this package's dependencies; exits with 1 for one that its users would have to follow."""

from __future__ import annotations

import re
import sys
from importlib import metadata

OURS = "otel-duckdb"
REFUSED = re.compile(r"\bA?GPL|Affero|GNU General Public", re.IGNORECASE)
"""Licences that reach over to the program that imports a package; the LGPL does not."""


def needs(name: str, seen: dict[str, metadata.Distribution]) -> None:
    """Collect what a distribution needs, with every extra of ours, as far as it is installed."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in seen:
        return
    seen[key] = found
    for requirement in found.requires or ():
        if "extra ==" in requirement and name != OURS:
            continue
        match = re.match(r"[\w.-]+", requirement)
        if match:
            needs(match[0], seen)


def licence(found: metadata.Distribution) -> str:
    """The licence by its expression, its classifiers or the first line of its field."""
    described = found.metadata
    classifiers = [text.split(" :: ")[-1] for text in described.get_all("Classifier") or () if text.startswith("Licen")]
    field = (described.get("License") or "").strip().splitlines()
    return described.get("License-Expression") or ", ".join(classifiers) or (field[0] if field else "unknown")


def main() -> int:
    """Print a line for each package."""
    seen: dict[str, metadata.Distribution] = {}
    needs(OURS, seen)
    seen.pop(OURS, None)
    licences = {name: licence(found) for name, found in sorted(seen.items())}
    for name, text in licences.items():
        print(f"{name:45} {seen[name].version:12} {text[:60]}")
    wrong = [name for name, text in licences.items() if text == "unknown" or REFUSED.search(text)]
    for name in wrong:
        print(f"{name}: its licence is {licences[name]!r}; look at it", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
