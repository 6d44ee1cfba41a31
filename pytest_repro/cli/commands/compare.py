"""``pytest-repro compare``: compares the reports of two machines."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pytest_repro.cli.commands import BadOption, Command, Result
from pytest_repro.core.plan.arguments import validate_tolerance
from pytest_repro.core.plan.tolerance import EXACT
from pytest_repro.reports.json.report import read_report

_DESCRIPTION = """\
Compares two reports that pytest --repro-json wrote on two machines: first the environment, then every
test, value by value.

Values are equal if dtype, shape and bits are equal. With --rtol and --atol, numbers also count as close
if |b - a| <= atol + rtol * |a|. A report holds up to 64 numbers of each value; of a larger array it holds
a digest and statistics, so larger arrays whose digests differ count as different unless --statistics is
given.

A test that only one report has, or that is not reproducible on its own machine, counts as a difference.
A test that is skipped on both machines does not. Golden files are not considered.
"""

_EXAMPLES = """\
examples:
  pytest-repro compare laptop.json ci.json
  pytest-repro compare laptop.json ci.json --rtol=1e-5 --atol=1e-8 --statistics
"""

_STATISTICS = (
    "larger arrays count as close if five elements, min, max, mean, std and l2 are within the tolerance"
)


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("a", metavar="A.json", help="report of the first machine")
    parser.add_argument("b", metavar="B.json", help="report of the second machine")
    parser.add_argument("--rtol", type=float, metavar="R", help="relative tolerance; needs --atol")
    parser.add_argument("--atol", type=float, metavar="A", help="absolute tolerance; needs --rtol")
    parser.add_argument("--statistics", action="store_true", help=_STATISTICS)


def _run(options: Namespace) -> Result:
    from pytest_repro.cli.compare import CompareOptions, compare_reports, machines_agree
    from pytest_repro.cli.compare_text import format_comparison

    if (options.rtol is None) != (options.atol is None):
        raise BadOption("--rtol and --atol must be given together")
    tolerance = validate_tolerance(options.rtol, options.atol)
    if options.statistics and (tolerance is None or tolerance.exact):
        raise BadOption("--statistics needs a tolerance: give --rtol and --atol as well")
    compare_options = CompareOptions(tolerance or EXACT, options.statistics, tolerance is not None)
    a, b = read_report(options.a), read_report(options.b)
    tests = compare_reports(a, b, compare_options)
    return (0 if machines_agree(tests) else 1), format_comparison(a, b, tests, compare_options)


command = Command("compare the reports of two machines", _DESCRIPTION, _EXAMPLES, _add_arguments, _run)
