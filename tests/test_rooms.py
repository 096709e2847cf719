"""The rooms of the house: who may import whom, imports for types alone included, and how large a module may grow."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "src/otel_duckdb").rglob("*.py"))
}
TESTS = sorted(
    path for folder in ("tests", "tools", "benchmarks", "examples") for path in (ROOT / folder).rglob("*.py")
)

GROUND = {"contract", "settings", "text", "statement", "error_messages", "installation", "files"}
CORE = GROUND | {"telemetry", "core"}
PRODUCERS = {"intercept", "engine", "profiling", "pools"}
MAY_IMPORT = {
    # What a module of the first room may import beside its own room. The order is that of the floors.
    "contract": set(),
    "text": set(),
    "files": set(),
    "features": {"files", "text"},
    "settings": {"features", "text"},
    "installation": set(),
    "error_messages": set(),
    "statement": {"text"},
    "telemetry": GROUND,
    "core": GROUND | {"telemetry"},
    **dict.fromkeys(PRODUCERS, CORE),
    "signals": CORE | {"profiling"},
    "instrumentor": CORE | PRODUCERS | {"signals", "arguments", "declarative", "monitor"},
    "testing": CORE | {"instrumentor"},
    "": {"instrumentor", "core", "settings", "statement"},
    "arguments": {"settings", "text"},
    "declarative": {"settings"},
    "sync": GROUND | {"telemetry"},
    "rules": {"contract", "settings"},
    "web": {"text", "files"},
    "monitor": CORE | {"profiling", "rules", "web"},
    "exporters": {"settings", "telemetry", "text", "web"},
    "demo": {"contract", "text", "web"},
    "commands": {
        "settings",
        "text",
        "files",
        "installation",
        "telemetry",
        "sync",
        "rules",
        "demo",
        "monitor",
        "instrumentor",
    },
    "cli": {"commands", "installation"},
}


def room(module):
    return (*module.split("."), "")[1]


def imports(module):
    """The modules of this package that a module imports, for types or anywhere inside it."""
    found = set()
    for node in ast.walk(ast.parse(SOURCES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name.name}" for name in node.names]
            found |= {name if name in SOURCES else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return (found & SOURCES.keys()) - {module}


def test_a_module_imports_only_from_its_own_room_and_those_below():
    wrong = [
        f"{module} imports {other}"
        for module in SOURCES
        for other in sorted(imports(module))
        if room(other) not in {room(module), *MAY_IMPORT[room(module)]}
    ]
    assert not wrong


def test_no_rooms_import_each_other():
    tuple(TopologicalSorter(MAY_IMPORT).static_order())  # a circle raises


def test_no_modules_import_each_other():
    tuple(TopologicalSorter({module: imports(module) for module in SOURCES}).static_order())


def test_every_room_of_the_table_exists_and_no_other():
    assert {room(module) for module in SOURCES} == MAY_IMPORT.keys()


@pytest.mark.parametrize(("paths", "most"), [(SOURCES.values(), 400), (TESTS, 600)], ids=["src", "tests"])
def test_no_module_is_too_long_to_be_kept_in_mind(paths, most):
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    assert {path: length for path, length in lengths.items() if length > most} == {}
