"""Which services apprise knows, read from its files: to import it all takes a second and 50 MB, before any alert."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from otel_duckdb.installation import install_command

_ADDRESS: Final = re.compile(r"([A-Za-z0-9]{1,32})://(.*)", re.DOTALL)
_PROTOCOLS: Final = re.compile(r"^    \w*protocol *(?::[^=\n]+)?= *(\([^)]*\)|[^(\n]+)", re.MULTILINE)
_WORD: Final = re.compile(r"[\"']([a-z0-9]{1,32})[\"']")
_FURTHER: Final = {"http", "https", "dbus", "kde", "qt"}
"""What a service gives out as the address of a webhook, judged when it is checked; and schemes that are computed."""
_ALONE: Final = {
    *("blink1", "dbus", "glib", "gnome", "irc", "ircs", "kde", "macosx", "ntfy", "ntfys", "qt", "rsyslog", "syslog"),
    "windows",
}
"""Those that are an address without anything after them."""
MANUAL: Final = "https://github.com/caronc/apprise/wiki"


def fault(addresses: tuple[str, ...]) -> str | None:
    """What is wrong with the first address that cannot be one of apprise's, None where there is none such.

    Whether a service takes the rest of its address, apprise itself says: some seconds after the start.
    No more is told of an address than its scheme: the rest is often a secret.
    """
    if not addresses:
        return None
    spec = find_spec("apprise")
    if spec is None or not spec.submodule_search_locations:
        return f"names addresses of apprise, which is not installed; run: {install_command('monitor')}"
    known = _schemes(Path(spec.submodule_search_locations[0], "plugins"))
    for number, address in enumerate(addresses, 1):
        found = _ADDRESS.match(address)
        if found is None:
            return f"has an address, number {number}, that begins with no service, such as slack://; see {MANUAL}"
        scheme = found[1].lower()
        if known and scheme not in known:
            return f"has an address of {scheme}://, and apprise knows no such service; its services are at {MANUAL}"
        if not found[2].strip("/") and scheme not in _ALONE:
            return f"has the address {scheme}://, which names nobody to send to; see {MANUAL}"
    return None


def _schemes(folder: Path) -> set[str]:
    """The schemes of the plugins; nothing where they are not written as we know them."""
    found: set[str] = set()
    for file in folder.rglob("*.py"):
        for written in _PROTOCOLS.findall(file.read_text("utf-8", "replace")):
            found.update(_WORD.findall(written))
    return found | _FURTHER if found else found
