"""``pytest-repro env``: shows what could change a result on this machine."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pytest_repro.cli.commands import Command, Result

_DESCRIPTION = """\
Imports the installed libraries and prints their versions, instruction sets and threads, then every
determinism switch with its state and meaning.
"""

_EXAMPLES = """\
examples:
  pytest-repro env
  pytest-repro env --json > env.json
"""


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def _run(options: Namespace) -> Result:
    from pytest_repro.cli import env

    return 0, env.format_json() if options.json else env.format_text()


command = Command(
    "show the environment and every determinism switch", _DESCRIPTION, _EXAMPLES, _add_arguments, _run
)
