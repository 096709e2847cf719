"""The page in a real browser, against a program that works on a DuckDB."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[3] / "tools/page_program.py"
CHROMIUM = shutil.which("chromium")
VIEWS = ("overview", "statements", "running", "traces", "alerts", "sync", "storage", "actions", "about")


class Program:
    """A program at work: its address, its token, and what it is told by its standard input."""

    def __init__(self, folder, port=0, **environment):
        self._process = subprocess.Popen(
            [sys.executable, PROGRAM, str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | environment | {"XDG_RUNTIME_DIR": str(folder)},
        )
        port, self.token = self._process.stdout.readline().decode().split()
        self.port = int(port)
        self.address = f"http://127.0.0.1:{port}/"

    def tell(self, line):
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def kill(self):
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="session")
def runtime(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runtime")
    folder.chmod(0o700)
    return folder


@pytest.fixture(scope="session")
def program(runtime):
    program = Program(runtime)
    yield program
    program.kill()


@pytest.fixture
def start(runtime):
    """Starts further programs, which end with the test."""
    started = []

    def start(port=0, **environment):
        started.append(Program(runtime, port, **environment))
        return started[-1]

    yield start
    for program in started:
        program.kill()


@pytest.fixture
def address(program):
    return program.address


@pytest.fixture(scope="session")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (group `page`)")
    if CHROMIUM is None:
        pytest.skip("chromium is not on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def context(browser, program):
    # With the key there is no limit of requests a minute: these tests ask more than a person does.
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, extra_http_headers={"X-Monitoring-Key": program.token}
    )
    yield context
    context.close()


@pytest.fixture
def page(context):
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    yield page
    assert not page.complaints


@pytest.fixture
def show(page, address):
    """Shows a view and waits for its figures."""

    def show(view):
        page.goto(f"{address}#/{view}")
        page.wait_for_selector("main > :last-child:not([hidden])")
        page.wait_for_function("() => !document.querySelector('.skeleton')")

    return show
