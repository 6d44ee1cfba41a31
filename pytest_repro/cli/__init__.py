"""Floor 6: the command ``pytest-repro``, for what is told after the tests have run.

Exit codes, of every command: 0, done, and for ``compare`` the machines agree; 1, ``compare`` found a
difference, or nothing to compare; 2, what was given cannot be used: no file, no report, a wrong option.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence

from pytest_repro import __version__
from pytest_repro.core.plan.plan import BadArgument, checked_tolerance
from pytest_repro.core.text import printable
from pytest_repro.reports.json.checked import BadReport, report_of

_COMPARE = """\
Compares two reports that pytest wrote with --repro-json, each on its own machine: first the fields of
the environment that differ, then test by test what differs. A value counts as equal if its dtype,
shape and bits are; with --rtol and --atol, numbers also if |b - a| <= atol + rtol * |a|. Reports hold
up to 64 numbers of each value, and of larger arrays a digest and statistics: where those digests
differ they count as different, also within a tolerance, unless --statistics is given.

A test that only one report has, or that is not reproducible on one machine alone, is a difference.
Tests that both skipped are none. What a golden file says of a test does not count: it is compared if
its runs agree.
"""

_ENV = """\
Imports the libraries that are installed, and prints versions, instruction sets and threads, then every
determinism switch with its state and what it means.
"""

_SHOW = "Prints the failures and the section of a report as the terminal did."

_CODES = """\
exit codes:
  0   done; compare: at least one test was compared, and the machines agree
  1   compare: they differ, or no test was compared
  2   what was given cannot be used: no such file, no report, a wrong option
"""


class BadOption(ValueError):
    """Options that do not go together; says which."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: Those of the command line, where they are not given.

    Returns:
        The exit code.
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        code, lines = _done(given)
    except (BadReport, BadArgument, BadOption) as error:
        print(f"pytest-repro {given.command}: {printable(str(error))}", file=sys.stderr)
        return 2
    _print(lines)
    return code


def _parser() -> argparse.ArgumentParser:
    how = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="pytest-repro", description="What pytest-repro tells after the tests have run.", epilog=_CODES,
        formatter_class=how,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"pytest-repro {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (brief, description, add) in _COMMANDS.items():
        add(
            commands.add_parser(name, help=brief, description=description, epilog=_CODES, formatter_class=how)
        )
    return parser


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="A.json", help="report of one machine")
    parser.add_argument("b", metavar="B.json", help="report of the other")
    parser.add_argument("--rtol", type=float, metavar="R", help="relative tolerance; needs --atol")
    parser.add_argument("--atol", type=float, metavar="A", help="absolute tolerance; needs --rtol")
    closeness = "of larger arrays, five elements, min, max, mean, std and l2 within the tolerance are close"
    parser.add_argument("--statistics", action="store_true", help=closeness)


def _add_env(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the same as JSON")


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("report", metavar="report.json", help="what --repro-json wrote")


_COMMANDS = {
    "compare": ("compare two machines by their reports", _COMPARE, _add_compare),
    "env": ("what could change a result here, and every determinism switch", _ENV, _add_env),
    "show": ("print a report as the terminal did", _SHOW, _add_show),
}


def _done(given: argparse.Namespace) -> tuple[int, list[str]]:
    """The exit code of a command, and its lines: each command's parts are loaded when it is asked."""
    if given.command == "env":
        from pytest_repro.cli import env

        return 0, list(env.as_json() if given.json else env.as_text())
    if given.command == "show":
        from pytest_repro.cli.show import shown

        return 0, list(shown(report_of(given.report)))
    return _compared(given)


def _compared(given: argparse.Namespace) -> tuple[int, list[str]]:
    from pytest_repro.cli.compare import Asked, agree, compared
    from pytest_repro.cli.compare_text import told

    if (given.rtol is None) != (given.atol is None):
        raise BadOption("--rtol and --atol belong together: give both or none")
    tolerance = checked_tolerance(given.rtol, given.atol)
    if given.statistics and (tolerance is None or tolerance.exact):
        raise BadOption("--statistics needs a tolerance: give --rtol and --atol as well")
    asked = Asked(tolerance, given.statistics) if tolerance else Asked()
    a, b = report_of(given.a), report_of(given.b)
    tests = compared(a, b, asked)
    return (0 if agree(tests) else 1), list(told(a, b, tests, asked))


def _print(lines: Iterable[str]) -> None:
    if hasattr(sys.stdout, "reconfigure"):  # a console that has no word for "é" says its number
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print("\n".join(map(printable, lines)), flush=True)
    except BrokenPipeError:  # "| head": what it has not read it does not want
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
