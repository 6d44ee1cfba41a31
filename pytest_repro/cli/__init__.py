"""The command ``pytest-repro``, which reads reports after the tests have run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence

from pytest_repro._version import __version__
from pytest_repro.core.plan.arguments import BadArgument, validate_tolerance
from pytest_repro.core.plan.tolerance import EXACT
from pytest_repro.core.text import escape_unprintable
from pytest_repro.reports.json.report import BadReport, read_report

_DESCRIPTION = """\
Compares and prints the reports that pytest --repro-json wrote, and shows what could change a result on
this machine.
"""

_EXAMPLES = """\
examples:
  pytest --repro-json=a.json            write a report, on each machine
  pytest-repro compare a.json b.json    do both machines give the same values?
  pytest-repro show a.json              the failures of a report, as pytest showed them
  pytest-repro env                      library versions, threads and determinism switches
"""

_COMPARE_DESCRIPTION = """\
Compares two reports that pytest --repro-json wrote on two machines: first the environment, then every
test, value by value.

Values are equal if dtype, shape and bits are equal. With --rtol and --atol, numbers also count as close
if |b - a| <= atol + rtol * |a|. A report holds up to 64 numbers of each value; of a larger array it holds
a digest and statistics, so larger arrays whose digests differ count as different unless --statistics is
given.

A test that only one report has, or that is not reproducible on its own machine, counts as a difference.
A test that is skipped on both machines does not. Golden files are not considered.
"""

_COMPARE_EXAMPLES = """\
examples:
  pytest-repro compare laptop.json ci.json
  pytest-repro compare laptop.json ci.json --rtol=1e-5 --atol=1e-8 --statistics
"""

_ENV_DESCRIPTION = """\
Imports the installed libraries and prints their versions, instruction sets and threads, then every
determinism switch with its state and meaning.
"""

_ENV_EXAMPLES = """\
examples:
  pytest-repro env
  pytest-repro env --json > env.json
"""

_SHOW_DESCRIPTION = "Prints the failures and the summary of a report as pytest showed them."

_SHOW_EXAMPLES = """\
examples:
  pytest --repro-json=report.json
  pytest-repro show report.json
"""

_EXIT_CODES = """
exit codes:
  0   done; compare: at least one test was compared, and the machines agree
  1   compare: they differ, or no test was compared
  2   the arguments cannot be used: no such file, not a report, a wrong option
"""


class BadOption(ValueError):
    """Options that cannot be used together."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code; *arguments* default to those of the process."""
    options = _build_parser().parse_args(arguments)
    try:
        code, lines = _run_command(options)
    except (BadReport, BadArgument, BadOption) as error:
        print(f"pytest-repro {options.command}: {escape_unprintable(str(error))}", file=sys.stderr)
        return 2
    _print_lines(lines)
    return code


def _build_parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "pytest-repro", description=_DESCRIPTION, epilog=_EXAMPLES + _EXIT_CODES, formatter_class=raw
    )
    parser.add_argument("--version", action="version", version=f"pytest-repro {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, brief: str, description: str, examples: str) -> argparse.ArgumentParser:
        epilog = examples + _EXIT_CODES
        return commands.add_parser(
            name, help=brief, description=description, epilog=epilog, formatter_class=raw
        )

    compare = add("compare", "compare the reports of two machines", _COMPARE_DESCRIPTION, _COMPARE_EXAMPLES)
    compare.add_argument("a", metavar="A.json", help="report of the first machine")
    compare.add_argument("b", metavar="B.json", help="report of the second machine")
    compare.add_argument("--rtol", type=float, metavar="R", help="relative tolerance; needs --atol")
    compare.add_argument("--atol", type=float, metavar="A", help="absolute tolerance; needs --rtol")
    close = (
        "larger arrays count as close if five elements, min, max, mean, std and l2 are within the tolerance"
    )
    compare.add_argument("--statistics", action="store_true", help=close)
    env = add("env", "show the environment and every determinism switch", _ENV_DESCRIPTION, _ENV_EXAMPLES)
    env.add_argument("--json", action="store_true", help="print JSON")
    show = add("show", "print a report as pytest did", _SHOW_DESCRIPTION, _SHOW_EXAMPLES)
    show.add_argument("report", metavar="report.json", help="a report that --repro-json wrote")
    return parser


def _run_command(options: argparse.Namespace) -> tuple[int, list[str]]:
    """The exit code and the lines of a command."""
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
        raise BadOption("--rtol and --atol must be given together")
    tolerance = validate_tolerance(options.rtol, options.atol)
    if options.statistics and (tolerance is None or tolerance.exact):
        raise BadOption("--statistics needs a tolerance: give --rtol and --atol as well")
    compare_options = CompareOptions(tolerance or EXACT, options.statistics)
    a, b = read_report(options.a), read_report(options.b)
    tests = compare_reports(a, b, compare_options)
    return (0 if machines_agree(tests) else 1), list(format_comparison(a, b, tests, compare_options))


def _print_lines(lines: Iterable[str]) -> None:
    if hasattr(sys.stdout, "reconfigure"):  # an ASCII console shows "é" as an escape
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print("\n".join(map(escape_unprintable, lines)), flush=True)
    except BrokenPipeError:  # "| head" does not read everything
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
