"""Draws the pictures of the documentation again: ``python docs/pictures.py`` (needs rich and Chromium)."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
sys.path.insert(0, str(ROOT))

from tests.docs.pages import read_blocks, write_files  # noqa: E402


def run_example(folder: Path) -> str:
    """The output of the failing test of the start page, with colors; writes report.html to *folder*."""
    write_files(list(read_blocks((ROOT / "docs" / "index.md").read_text())), folder)
    command = [sys.executable, "-m", "pytest", "-q", "--color=yes", "-p", "no:cacheprovider"]
    environ = {**os.environ, "COLUMNS": "96", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "test_step.py", "--repro-html=report.html"],
        cwd=folder, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout


def draw_terminal(output: str) -> None:
    """Writes *output* as a picture of a terminal."""
    console = Console(record=True, width=104, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(f"$ pytest -q test_step.py\n{output.rstrip()}"))
    console.save_svg(str(IMAGES / "failure.svg"), title="pytest")


def draw_report(page: Path) -> None:
    """Writes a screenshot of the HTML report."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser is not None, "needs Chromium"
    target = IMAGES / "report.png"
    size = ["--window-size=1200,1500", "--hide-scrollbars"]
    options = ["--headless", "--no-sandbox", "--disable-gpu", *size, f"--screenshot={target}"]
    subprocess.run([browser, *options, page.as_uri()], check=True, capture_output=True)


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"  # the report's title
        folder.mkdir()
        draw_terminal(run_example(folder))
        draw_report(folder / "report.html")
