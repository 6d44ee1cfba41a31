"""``pytest-repro check-golden``: rejects incomplete golden files, as a pre-commit hook."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path

from pytest_repro.cli.commands import BadOption, Command, Result
from pytest_repro.engine.golden.check_files import iter_problems

_DESCRIPTION = """\
Checks golden files before they are committed: each can be read, and the file of values beside it is there
and holds the arrays that the golden file names. Arrays too large to be stored may be absent.
"""

_EXAMPLES = """\
examples:
  pytest-repro check-golden tests/__repro__/test_train.json
  pytest-repro check-golden tests             all golden files below a folder
"""

_SUFFIXES = (".json", ".safetensors")


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a golden file, its values, or a folder")


def _run(options: Namespace) -> Result:
    files = sorted({file.with_suffix(".json") for path in options.paths for file in _list_files(Path(path))})
    problems = [f"{file} {problem}" for file in files for problem in iter_problems(file)]
    count = f"{len(files)} golden file{'s' if len(files) != 1 else ''}"
    return (1, problems) if problems else (0, [f"{count} complete"])


def _list_files(path: Path) -> Iterable[Path]:
    if path.is_dir():
        return [file for file in path.rglob("__repro__/*") if file.suffix in _SUFFIXES]
    if not path.exists():
        raise BadOption(f"{path} does not exist")
    return [path] if path.suffix in _SUFFIXES else []


command = Command("check that golden files are complete", _DESCRIPTION, _EXAMPLES, _add_arguments, _run)
