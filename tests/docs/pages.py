"""The pages of the documentation: their code blocks, and what these print. ``python -m tests.docs.pages``
runs every command again and writes its output into the page.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pytest_repro.core.plugins import find_plugins
from pytest_repro.reports.json.report_head import CI_VARIABLES
from tests.fork_server import run_forked

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_BLOCK = re.compile(r"^( *)```(\w*)([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r'title="([\w./-]+\.(?:py|toml|ini|cfg|csv))"')
_SECONDS = 300


class Block(NamedTuple):
    """A fenced block: its language, the options after it, its text, and where the text is in the page."""

    language: str
    options: str
    text: str
    start: int
    end: int

    @property
    def file(self) -> str:
        """The name of the file that it shows, ``title="test_a.py"``; ``""`` if none."""
        found = _FILE.search(self.options)
        return found[1] if found else ""

    @property
    def is_stable(self) -> bool:
        """Whether each run prints the same."""
        return "varies" not in self.options


def list_pages() -> list[Path]:
    """Every page that is not generated."""
    return sorted(path for path in DOCS.rglob("*.md") if "decisions" not in path.parts)


def read_blocks(text: str) -> Iterator[Block]:
    """The blocks of a page, in order; a block inside a list is indented."""
    for match in _BLOCK.finditer(text):
        lines = match[4].splitlines(keepends=True)
        content = "".join(line.removeprefix(match[1]) for line in lines)
        yield Block(match[2], match[3], content, match.start(4), match.end(4))


BASE_LIBRARIES = {"numpy", "python", "torch"}


def find_libraries(blocks: list[Block]) -> set[str]:
    """The libraries with an adapter that Python code of a page imports, besides those that most pages use."""
    trees = [ast.parse(block.text) for block in blocks if block.language == "python"]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    names += [name for block in blocks for name in re.findall(r'importorskip\("(\w+)"\)', block.text)]
    known = set(find_plugins("pytest_repro.adapters")) - BASE_LIBRARIES
    return {name.partition(".")[0] for name in names} & known


def without_numbers(text: str) -> str:
    """*text* without what differs between machines: numbers, and where pytest cuts a line."""
    cut = re.compile(r"(?<=NotReproducible: ).*")  # pytest does not cut lines on CI
    minutes = re.compile(r"(?<=s) \(\d+:\d+:\d+\)$", re.MULTILINE)  # pytest adds them from 60 s on
    text = text.replace("over 2**", "")  # of more ulp
    lines = (cut.sub("", line.rstrip()) for line in text.strip().splitlines())
    return re.sub(r"-?\d+(,\d{3})*(\.\d+)?(e[-+]\d+)?", "N", minutes.sub("", "\n".join(lines)))


def run_console(block: Block, folder: Path, imported: Sequence[str] | None = None) -> str:
    """The block with what its commands print in *folder*.

    With names of modules *imported*, pytest runs in forks of an interpreter that has imported them.
    """
    commands = [line[2:] for line in block.text.splitlines() if line.startswith("$ ")]
    parts = []
    for command in commands:
        output = _run(command, folder, imported)
        parts.append(f"$ {command}\n{output}")
    return "".join(parts)


def _run(command: str, folder: Path, imported: Sequence[str] | None) -> str:
    words = shlex.split(command)
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "80", "PYTHONPATH": str(ROOT)}
    for name in ("PYTEST_ADDOPTS", "GITHUB_ACTIONS", "PYTEST_XDIST_WORKER", "CI", *CI_VARIABLES):
        environ.pop(name, None)
    given = {}
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        given[name] = environ[name] = value
    if words[0] == "pytest":
        words[:1] = ["-p", "repro", "-p", "repro_marker", "-p", "no:cacheprovider"]
        if imported is not None and not any(name.startswith("PYTHON") for name in given):
            return _tidy(run_forked(imported, words, folder, environ).output)
        words = [sys.executable, "-m", "pytest", *words]
    elif words[0] == "pytest-repro":
        words[:1] = [sys.executable, "-m", "pytest_repro"]
    elif words[0] in ("python", "torchrun"):
        words[:1] = [sys.executable, *["-m", "torch.distributed.run"] * (words[0] == "torchrun")]
        environ["PYTEST_ADDOPTS"] = "-p repro -p repro_marker -p no:cacheprovider"  # of sessions it starts
    done = subprocess.run(
        words, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=_SECONDS, check=False,
    )  # fmt: skip
    return _tidy(done.stdout)


def _tidy(output: str) -> str:
    output = re.sub("\npytest-repro is looking for .*\n", "", output)  # on a slow machine, on stderr
    return "".join(f"{line.rstrip()}\n" for line in output.strip("\n").splitlines())


def write_files(blocks: list[Block], folder: Path) -> None:
    """Writes the files that a page shows."""
    (folder / "pytest.ini").write_text("[pytest]\nrepro_diagnose = always\nrepro_diagnose_seconds = 600\n")
    for block in blocks:
        if block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)


def refresh(page: Path) -> None:
    """Runs the commands of *page*, and writes what they print into it."""
    text = page.read_text()
    blocks = list(read_blocks(text))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(blocks, folder)
        for block in reversed([block for block in blocks if block.language == "console"]):
            text = text[: block.start] + run_console(block, folder) + text[block.end :]
    page.write_text(text)


if __name__ == "__main__":
    for each in map(Path, sys.argv[1:]) if sys.argv[1:] else list_pages():
        print(each)
        refresh(each)
