"""The README is executed: its Python runs, its console output is what pytest prints."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    return _BLOCK.findall(README.read_text())


def files() -> Iterator[tuple[str, str]]:
    """Name and content of the blocks that are test files."""
    for language, text in blocks():
        if language == "python" and (name := re.match(r"# (test_\w+\.py)\n", text)):
            yield name[1], text


def without_numbers(text: str) -> str:
    """Numbers, and how far a line is cut, differ from machine to machine."""
    cut = re.compile(r"(?<=NotReproducible: loss).*")  # and CI lets it stand whole
    lines = (cut.sub("", line.rstrip()) for line in text.strip().splitlines())
    return re.sub(r"-?\d+(,\d{3})*(\.\d+)?(e[-+]\d+)?", "N", "\n".join(lines))


CONSOLES = [text for language, text in blocks() if language == "console"]


@pytest.mark.parametrize("console", CONSOLES, ids=lambda text: text.split("\n")[0])
def test_the_examples_print_what_is_told(
    console: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name, text in files():
        (pytester.path / name).write_text(text)
    # A machine that has other things to do as well needs longer than what is told of one at rest.
    budget = "[pytest]\nrepro_diagnose = always\nrepro_diagnose_seconds = 600\n"
    (pytester.path / "pytest.ini").write_text(budget)
    command, told = console.split("\n", 1)
    variables, arguments = command.removeprefix("$ ").split("pytest ")
    for variable in variables.split():
        monkeypatch.setenv(*variable.split("="))
    run = pytester.runpytest_subprocess("-p", "repro", "-p", "no:cacheprovider", *arguments.split())
    assert without_numbers("\n".join(run.outlines)) == without_numbers(told)


def test_the_other_test_files_pass(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name, text in files():
        if name not in ("test_step.py", "test_axes.py"):
            (pytester.path / name).write_text(text)
    pytester.runpytest_subprocess("-p", "repro", "-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_the_fix_that_is_told_fixes(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    text = dict(files())["test_step.py"].replace("default_rng()", "default_rng(0)")
    (pytester.path / "test_fixed.py").write_text(text)
    pytester.runpytest_subprocess("-p", "repro", "-p", "no:cacheprovider").assert_outcomes(passed=1)


SCRIPTS = {"check(lambda": "diverged", "assert_batch_invariant(": "<lambda>"}


@pytest.mark.parametrize("mentions", SCRIPTS)
def test_the_scripts_print_what_is_told(mentions: str) -> None:
    begins = SCRIPTS[mentions]
    (script,) = (text for language, text in blocks() if language == "python" and mentions in text)
    (told,) = (text for language, text in blocks() if not language and text.startswith(begins))
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == told


def test_every_option_is_in_the_table() -> None:
    from pytest_repro.plugin.config.options import OPTIONS

    text = README.read_text()
    for option in OPTIONS:
        assert (f"`--repro-{option.name}" if option.on_command_line else f"`{option.key}`") in text
