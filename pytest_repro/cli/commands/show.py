"""``pytest-repro show``: prints a report as pytest did."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pytest_repro.cli.commands import Command, Result
from pytest_repro.reports.json.report import read_report

_DESCRIPTION = "Prints the failures and the summary of a report as pytest showed them."

_EXAMPLES = """\
examples:
  pytest --repro-json=report.json
  pytest-repro show report.json
"""


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("report", metavar="report.json", help="a report that --repro-json wrote")


def _run(options: Namespace) -> Result:
    from pytest_repro.cli.show import format_report

    return 0, format_report(read_report(options.report))


command = Command("print a report as pytest did", _DESCRIPTION, _EXAMPLES, _add_arguments, _run)
