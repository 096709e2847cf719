"""The documentation says what the code says."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WRITTEN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_what_is_made_from_the_code_is_as_the_code_says():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_picture_is_shown_somewhere_by_day_and_by_night_and_is_small():
    repository = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
    shown = set()
    for page in WRITTEN:
        for target in re.findall(r"(?:src|srcset)=\"([^\"]+)\"", page.read_text(encoding="utf-8")):
            local = target.removeprefix(f"{repository}/raw/main/")
            path = ROOT / local if local != target else page.parent / target
            assert path.stat().st_size < 100_000, f"{page.name} shows {target}"
            shown.add(path.resolve())

    pictures = {path.resolve() for path in (ROOT / "docs/images").iterdir()}
    assert shown == pictures
    assert {path.stem.rpartition("-")[2] for path in pictures} == {"light", "dark"}


def test_the_readme_shows_its_links_anywhere_and_they_lead_to_files_that_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    repository = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert targets
    for target in targets:
        path = re.fullmatch(rf"{repository}/(?:blob|tree)/main/([^#]+)(?:#.*)?", target)
        assert path, f"{target} is no absolute link into {repository}"
        assert (ROOT / path[1]).exists(), f"the README links to {path[1]}"


def test_every_extra_says_in_the_readme_what_it_is_for():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    rows = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert rows == set(project["optional-dependencies"])


def test_every_make_target_the_documents_name_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE).group(1).split())
    named = {target for page in WRITTEN for target in re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8"))}
    assert named <= phony
    for target in named - {"clean"}:
        assert (ROOT / "scripts" / target).exists(), f"make {target} has no script"


def test_every_file_that_the_architecture_names_exists():
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    files = [path.as_posix() for folder in ("src", "tests") for path in (ROOT / folder).rglob("*") if path.is_file()]
    named = set(re.findall(r"[\w/]+\.(?:py|c)\b", page))
    assert len(named) > 40
    assert {name for name in named if not any(path.endswith(f"/{name}") for path in files)} == set()


def test_the_architecture_tells_of_every_room():
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rooms = {path.name for path in (ROOT / "src/otel_duckdb").iterdir() if not path.name.startswith("_")}
    rooms = {name if name.endswith(".py") else f"{name}/" for name in rooms - {"py.typed"}}
    assert {name for name in rooms if name not in page} == set()
