"""Floor 6: the command ``pytest-repro``, for what is told after the tests have run.

Exit codes, of every command: 0, done, and for ``compare`` the machines agree; 1, ``compare`` found a
difference, or nothing to compare; 2, what was given cannot be used: no file, no report, a wrong option.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence

from pytest_repro._version import __version__
from pytest_repro.core.plan.plan import BadArgument, validate_tolerance
from pytest_repro.core.text import escape_unprintable
from pytest_repro.reports.json.report import BadReport, read_report

_COMPARE_DESCRIPTION = """\
Compares two reports that pytest wrote with --repro-json, each on its own machine: first the fields of
the environment that differ, then test by test what differs. A value counts as equal if its dtype,
shape and bits are; with --rtol and --atol, numbers also if |b - a| <= atol + rtol * |a|. Reports hold
up to 64 numbers of each value, and of larger arrays a digest and statistics: where those digests
differ they count as different, also within a tolerance, unless --statistics is given.

A test that only one report has, or that is not reproducible on one machine alone, is a difference.
Tests that both skipped are none. What a golden file says of a test does not count: it is compared if
its runs agree.
"""

_ENV_DESCRIPTION = """\
Imports the libraries that are installed, and prints versions, instruction sets and threads, then every
determinism switch with its state and what it means.
"""

_SHOW_DESCRIPTION = "Prints the failures and the section of a report as the terminal did."

_EXIT_CODES = """\
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
    parser = _build_parser()
    given = parser.parse_args(arguments)
    try:
        code, lines = _run_command(given)
    except (BadReport, BadArgument, BadOption) as error:
        print(f"pytest-repro {given.command}: {escape_unprintable(str(error))}", file=sys.stderr)
        return 2
    _print_lines(lines)
    return code


def _build_parser() -> argparse.ArgumentParser:
    how = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="pytest-repro",
        description="What pytest-repro tells after the tests have run.",
        epilog=_EXIT_CODES,
        formatter_class=how,
    )
    parser.add_argument("--version", action="version", version=f"pytest-repro {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (brief, description, add) in _COMMANDS.items():
        add(
            commands.add_parser(
                name, help=brief, description=description, epilog=_EXIT_CODES, formatter_class=how
            )
        )
    return parser


def _add_compare_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="A.json", help="report of one machine")
    parser.add_argument("b", metavar="B.json", help="report of the other")
    parser.add_argument("--rtol", type=float, metavar="R", help="relative tolerance; needs --atol")
    parser.add_argument("--atol", type=float, metavar="A", help="absolute tolerance; needs --rtol")
    closeness = "of larger arrays, five elements, min, max, mean, std and l2 within the tolerance are close"
    parser.add_argument("--statistics", action="store_true", help=closeness)


def _add_env_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the same as JSON")


def _add_show_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("report", metavar="report.json", help="what --repro-json wrote")


_COMMANDS = {
    "compare": ("compare two machines by their reports", _COMPARE_DESCRIPTION, _add_compare_options),
    "env": (
        "what could change a result here, and every determinism switch",
        _ENV_DESCRIPTION,
        _add_env_options,
    ),
    "show": ("print a report as the terminal did", _SHOW_DESCRIPTION, _add_show_options),
}


def _run_command(options: argparse.Namespace) -> tuple[int, list[str]]:
    """The exit code of a command, and its lines: each command's parts are loaded when it is asked."""
    if options.command == "env":
        from pytest_repro.cli import env

        return 0, list(env.format_json() if options.json else env.format_text())
    if options.command == "show":
        from pytest_repro.cli.show import format_report

        return 0, list(format_report(read_report(options.report)))
    return _run_compare(options)


def _run_compare(options: argparse.Namespace) -> tuple[int, list[str]]:
    from pytest_repro.cli.compare import CompareOptions, compare_reports, machines_agree
    from pytest_repro.cli.compare_text import format_comparison

    if (options.rtol is None) != (options.atol is None):
        raise BadOption("--rtol and --atol belong together: give both or none")
    tolerance = validate_tolerance(options.rtol, options.atol)
    if options.statistics and (tolerance is None or tolerance.exact):
        raise BadOption("--statistics needs a tolerance: give --rtol and --atol as well")
    asked = CompareOptions(tolerance, options.statistics) if tolerance else CompareOptions()
    a, b = read_report(options.a), read_report(options.b)
    tests = compare_reports(a, b, asked)
    return (0 if machines_agree(tests) else 1), list(format_comparison(a, b, tests, asked))


def _print_lines(lines: Iterable[str]) -> None:
    if hasattr(sys.stdout, "reconfigure"):  # a console that has no word for "é" says its number
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print("\n".join(map(escape_unprintable, lines)), flush=True)
    except BrokenPipeError:  # "| head": what it has not read it does not want
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
