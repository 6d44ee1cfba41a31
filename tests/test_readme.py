"""Executes the README (its Python runs, and pytest prints its console output); checks links of all pages."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code_blocks() -> list[tuple[str, str]]:
    """Language and text of each fenced block."""
    return _BLOCK.findall(README.read_text())


def example_files() -> Iterator[tuple[str, str]]:
    """Name and content of the blocks that are test files."""
    for language, text in code_blocks():
        if language == "python" and (name := re.match(r"# (test_\w+\.py)\n", text)):
            yield name[1], text


def without_numbers(text: str) -> str:
    """*text* without what differs between machines: numbers, and where pytest cuts a line."""
    cut = re.compile(r"(?<=NotReproducible: loss).*")  # pytest does not cut lines on CI
    minutes = re.compile(r"(?<=s) \(\d+:\d+:\d+\)$", re.MULTILINE)  # pytest adds them from 60 s on
    text = text.replace("over 2**", "")  # of more ulp
    lines = (cut.sub("", line.rstrip()) for line in text.strip().splitlines())
    return re.sub(r"-?\d+(,\d{3})*(\.\d+)?(e[-+]\d+)?", "N", minutes.sub("", "\n".join(lines)))


@pytest.fixture(autouse=True)
def _no_other_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def run_pytest(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("-p", "repro", "-p", "no:cacheprovider", *arguments)


CONSOLES = [text for language, text in code_blocks() if language == "console"]


@pytest.mark.parametrize("console", CONSOLES, ids=lambda text: text.split("\n")[0])
def test_the_examples_print_the_output_shown(
    console: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    for name, text in example_files():
        (pytester.path / name).write_text(text)
    # A busy machine needs more time than the idle one whose output the README shows.
    budget = "[pytest]\nrepro_diagnose = always\nrepro_diagnose_seconds = 600\n"
    (pytester.path / "pytest.ini").write_text(budget)
    command, expected = console.split("\n", 1)
    variables, arguments = command.removeprefix("$ ").split("pytest ")
    for variable in variables.split():
        monkeypatch.setenv(*variable.split("="))
    run = run_pytest(pytester, *arguments.split())
    assert without_numbers("\n".join(run.outlines)) == without_numbers(expected)


def test_the_other_test_files_pass(pytester: pytest.Pytester) -> None:
    pytest.importorskip("torch")
    for name, text in example_files():
        if name not in ("test_step.py", "test_axes.py"):
            (pytester.path / name).write_text(text)
    run_pytest(pytester).assert_outcomes(passed=2)


def test_the_proposed_fix_works(pytester: pytest.Pytester) -> None:
    pytest.importorskip("torch")
    text = dict(example_files())["test_step.py"].replace("default_rng()", "default_rng(0)")
    (pytester.path / "test_fixed.py").write_text(text)
    run_pytest(pytester).assert_outcomes(passed=1)


SCRIPTS = {"check(lambda": "diverged", "assert_batch_invariant(": "<lambda>"}
"""A part of each script, and how its output starts."""


@pytest.mark.parametrize("part", SCRIPTS)
def test_the_scripts_print_the_output_shown(part: str) -> None:
    (script,) = (text for language, text in code_blocks() if language == "python" and part in text)
    (expected,) = (
        text for language, text in code_blocks() if not language and text.startswith(SCRIPTS[part])
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == expected


def test_every_option_is_in_the_table() -> None:
    from pytest_repro.plugin.config.settings import OPTIONS

    text = README.read_text()
    for option in OPTIONS:
        assert (f"`--repro-{option.name}" if option.on_command_line else f"`{option.key}`") in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_paths_exist(page: Path) -> None:
    text = page.read_text()
    links = {page.parent / link for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)}
    paths = {path for path in re.findall(r"`([a-z_]+/[\w./]+)`", text) if "NAME" not in path}
    missing = {
        path for path in paths if not any((ROOT / top / path).exists() for top in ("", "pytest_repro"))
    }
    assert missing - GENERATED == set()
    assert [link for link in links if not link.exists()] == []


GENERATED = {"__repro__/test_x.json", "__repro__/"}
"""Paths in projects of users."""
