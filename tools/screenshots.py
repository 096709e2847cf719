"""Takes the pictures of the monitor's page for the documentation: each light and dark, in few colours."""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT: Final = Path(__file__).parents[1]
COLOURS: Final = 200
WIDTH: Final = 1280


def overview(page: Page) -> None:
    """The charts of five minutes."""
    page.goto("#/overview?range=5m")
    page.wait_for_selector(".u-over")


def statements(page: Page) -> None:
    """What took the memory."""
    page.goto("#/statements?sort=memory")
    page.wait_for_selector("button.open")


def trace(page: Page) -> None:
    """A request with its query, and the query's plan."""
    page.goto("#/traces?kind=slow&q=best-customers")
    page.locator("tbody a.open").first.click()
    page.locator("button.open", has_text="SELECT").first.click()
    page.wait_for_selector(".operators")


PICTURES: Final = {"overview": (overview, 1000), "statements": (statements, 620), "trace": (trace, 800)}


def take(browser: Browser, address: str, token: str, folder: Path) -> None:
    """Take every picture, light and dark."""
    for scheme in ("light", "dark"):
        for name, (arrange, height) in PICTURES.items():
            options: dict[str, Any] = {"color_scheme": scheme, "base_url": address, "reduced_motion": "reduce"}
            context = browser.new_context(
                **options,
                viewport={"width": WIDTH, "height": height},
                extra_http_headers={"X-Monitoring-Key": token},
            )
            page = context.new_page()
            arrange(page)
            page.wait_for_function("() => !document.querySelector('.skeleton')")
            page.wait_for_timeout(1000)
            path = folder / f"{name}-{scheme}.png"
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            # The other methods take the colour of a legend's dots away.
            few = picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
            few.save(path, optimize=True)
            print(
                f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}: {path.stat().st_size / 1e3:.0f} kB"
            )
            context.close()


def main() -> None:
    """Start the program, let it work, and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="how long the program works before")
    parser.add_argument("--folder", type=Path, default=ROOT / "docs/images")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as runtime:
        program = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("page_program.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"XDG_RUNTIME_DIR": runtime},
            text=True,
        )
        try:
            assert program.stdout is not None
            port, token = program.stdout.readline().split()
            time.sleep(options.seconds)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
                take(browser, f"http://127.0.0.1:{port}/", token, options.folder)
        finally:
            program.kill()
            program.wait()


if __name__ == "__main__":
    main()
