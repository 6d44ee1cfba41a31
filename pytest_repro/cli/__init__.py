"""The command ``pytest-repro``, which reads reports after the tests have run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence

from pytest_repro import __version__
from pytest_repro.cli import commands
from pytest_repro.cli.commands import BadOption, Command
from pytest_repro.core.plan.arguments import BadArgument
from pytest_repro.core.plugins import find_plugins, load_plugin
from pytest_repro.core.text import escape_unprintable
from pytest_repro.reports.json.report import BadReport

_DESCRIPTION = """\
Compares, merges and prints the reports that pytest --repro-json wrote, keeps their history, checks golden
files, and shows what could change a result on this machine.
"""

_EXAMPLES = """\
examples:
  pytest --repro-json=a.json            write a report, on each machine
  pytest-repro compare a.json b.json    do both machines give the same values?
  pytest-repro compare fleet/*.json     of many machines, which give the same?
  pytest-repro show a.json              the failures of a report, as pytest showed them
  pytest-repro merge shard-*.json       one verdict on all shards of a run
  pytest-repro history show h.sqlite    since which commit or version does a value differ?
  pytest-repro env                      library versions, threads and determinism switches
"""

_EXIT_CODES = """
exit codes:
  0   done; compare: at least one test was compared, and the machines agree
  1   compare: they differ, or no test was compared; check-golden: a file is incomplete
      merge: a test failed or differs between shards, too few were compared, or a shard is missing,
      unreadable, foreign or there twice; history add: a report was not added
  2   the arguments cannot be used: no such file, not a report, a wrong option
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code; *arguments* default to those of the process."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = _build_parser(words).parse_args(words)
    try:
        code, lines = options.run(options)
        lines = list(lines)
    except (BadReport, BadArgument, BadOption) as error:
        print(f"pytest-repro {options.command}: {escape_unprintable(str(error))}", file=sys.stderr)
        return 2
    _print_lines(lines)
    return int(code)


def _build_parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the command that *words* begin with, or of all: a command imports all that it needs."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "pytest-repro", description=_DESCRIPTION, epilog=_EXAMPLES + _EXIT_CODES, formatter_class=raw
    )
    parser.add_argument("--version", action="version", version=f"pytest-repro {__version__}")
    parsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    names = find_plugins(commands.__name__) if words[:1] != ["--version"] else {}
    for name in [name for name in names if [name.replace("_", "-")] == words[:1]] or names:
        command: Command = load_plugin(commands.__name__, name).command
        command_parser = parsers.add_parser(
            name.replace("_", "-"),
            help=command.brief,
            description=command.description,
            epilog=command.examples + _EXIT_CODES,
            formatter_class=raw,
        )
        command.add_arguments(command_parser)
        command_parser.set_defaults(run=command.run)
    return parser


def _print_lines(lines: Iterable[str]) -> None:
    if hasattr(sys.stdout, "reconfigure"):  # an ASCII console shows "é" as an escape
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print("\n".join(map(escape_unprintable, lines)), flush=True)
    except BrokenPipeError:  # "| head" does not read everything
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
