"""``pytest-repro compare``: compares the reports of two or more machines."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path

from pytest_repro.cli.commands import BadOption, Command, Result
from pytest_repro.cli.compare import CompareOptions, compare_reports, machines_agree
from pytest_repro.cli.compare_text import format_comparison
from pytest_repro.core.files import replace_file
from pytest_repro.core.plan.arguments import validate_tolerance
from pytest_repro.core.plan.plan import EXACT
from pytest_repro.reports.json.report import read_report

_DESCRIPTION = """\
Compares reports that pytest --repro-json wrote on two or more machines: first the environment, then every
test, value by value.

Values are equal if dtype, shape and bits are equal. With --rtol and --atol, numbers also count as close
if |b - a| <= atol + rtol * |a|; a tolerance or a level of a marker applies as it did in the runs, and
--rtol and --atol replace its tolerance. A report holds up to 64 numbers of each value; of a larger array
it holds a digest and statistics, so larger arrays whose digests differ count as different unless
--statistics is given.

A test that some reports lack, or that is not reproducible on its own machine, counts as a difference.
A test that is skipped on all machines does not. Golden files are not considered.

Of three or more machines, the text shows the classes of machines that agree, and the fields of the
environment that divide the machines in the same way. Within a tolerance, a value belongs to the first
report it is close to, in the order given.
"""

_EXAMPLES = """\
examples:
  pytest-repro compare laptop.json ci.json
  pytest-repro compare laptop.json ci.json --rtol=1e-5 --atol=1e-8 --statistics
  pytest-repro compare fleet/*.json --html=fleet.html
"""

_STATISTICS = (
    "larger arrays count as close if five elements, min, max, mean, std and l2 are within the tolerance"
)


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("a", metavar="A.json", help="report of the first machine")
    parser.add_argument("b", metavar="B.json", help="report of the second machine")
    parser.add_argument("others", metavar="C.json", nargs="*", default=[], help="reports of other machines")
    parser.add_argument("--rtol", type=float, metavar="R", help="relative tolerance; needs --atol")
    parser.add_argument("--atol", type=float, metavar="A", help="absolute tolerance; needs --rtol")
    parser.add_argument("--statistics", action="store_true", help=_STATISTICS)
    parser.add_argument("--json", action="store_true", help="print JSON: classes, fields, tests")
    parser.add_argument("--html", metavar="PATH", help="also write a page: a table of machines by tests")


def _run(options: Namespace) -> Result:
    if (options.rtol is None) != (options.atol is None):
        raise BadOption("--rtol and --atol must be given together")
    tolerance = validate_tolerance(options.rtol, options.atol)
    if options.statistics and (tolerance is None or tolerance.exact):
        raise BadOption("--statistics needs a tolerance: give --rtol and --atol as well")
    compare_options = CompareOptions(tolerance or EXACT, options.statistics, tolerance is not None)
    if options.others or options.json:
        return _run_fleet(options, compare_options)
    a, b = read_report(options.a), read_report(options.b)
    tests = compare_reports(a, b, compare_options)
    if options.html:
        _run_fleet(options, compare_options)
    return (0 if machines_agree(tests) else 1), format_comparison(a, b, tests, compare_options)


def _run_fleet(options: Namespace, compare_options: CompareOptions) -> Result:
    from pytest_repro.cli.fleet.comparison import compare_fleet
    from pytest_repro.cli.fleet.data import make_data
    from pytest_repro.cli.fleet.records import read_fleet
    from pytest_repro.cli.fleet.text import FleetText

    paths = [options.a, options.b, *options.others]
    comparison = compare_fleet(read_fleet(paths, compare_options), compare_options)
    if options.html:
        from pytest_repro.cli.fleet.page import render_page

        _write(options.html, [render_page(comparison)])
    code = 0 if comparison.agrees else 1
    if options.json:
        return code, json.dumps(make_data(comparison), indent=1, allow_nan=False).splitlines()
    return code, FleetText(comparison).format()


def _write(path: str, text: Iterable[str]) -> None:
    try:
        replace_file(Path(path), text)
    except (OSError, ValueError) as error:
        raise BadOption(f"--html={path} cannot be written: {error}") from None


command = Command("compare the reports of machines", _DESCRIPTION, _EXAMPLES, _add_arguments, _run)
