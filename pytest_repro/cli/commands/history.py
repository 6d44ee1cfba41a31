"""``pytest-repro history``: since when a value differs, over commits, machines and versions."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pytest_repro.cli.commands import BadOption, Command, Result
from pytest_repro.cli.history import text
from pytest_repro.cli.history.add import add_report
from pytest_repro.cli.history.changes import classify
from pytest_repro.cli.history.database import open_history
from pytest_repro.cli.history.page import write_page
from pytest_repro.cli.history.series import read_results, read_series, read_sessions
from pytest_repro.cli.history.since import find_start, format_since
from pytest_repro.core.text import escape_surrogates
from pytest_repro.reports.json.report import BadReport

_DESCRIPTION = """\
Keeps the verdicts, values and costs of many reports in one SQLite file, such as one in a CI cache, and says
since which commit or version a value differs, and whether it changed once or alternates.

The cause of a change is established only if a single field of the environment, or only the commit, changed
with it; otherwise everything that changed together is listed.
"""

_EXAMPLES = """\
examples:
  pytest-repro history add repro.sqlite report.json
  pytest-repro history show repro.sqlite --html=history.html
  pytest-repro history show repro.sqlite --test=tests/test_a.py::test_a
  pytest-repro history since repro.sqlite 2026-01-31
"""
_ORDER = (
    "started (default): sessions in the order of their start, by the clocks of their machines; added: in the "
    "order in which they were added"
)


def _add_arguments(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser("add", help="add reports; one that is there already is not added again")
    show = actions.add_parser("show", help="print what each value did")
    since = actions.add_parser("since", help="print what changed since a commit, a date or a run")
    for action in (add, show, since):
        action.add_argument("history", metavar="HISTORY.sqlite", help="the history, a SQLite file")
    add.add_argument(
        "reports", metavar="REPORT.json", nargs="+", help="reports, merged or of a single session"
    )
    show.add_argument("--test", metavar="NODEID", help="only this test, with values that never changed")
    show.add_argument("--html", metavar="PATH", help="write a page with a line for each value")
    since.add_argument(
        "since", metavar="SINCE", help="a commit or its first digits, a date, or the id of a run"
    )
    for action in (show, since):
        action.add_argument("--order", choices=("started", "added"), default="started", help=_ORDER)


def _run(options: Namespace) -> Result:
    return {"add": _run_add, "show": _run_show, "since": _run_since}[options.action](options)


def _run_add(options: Namespace) -> Result:
    lines, code = [], 0
    with open_history(options.history, create=True) as connection:
        for path in options.reports:
            try:
                lines.append(add_report(connection, path))
            except BadReport as error:  # the others are added
                lines.append(f"not added: {error}")
                code = 1
    return code, lines


def _run_show(options: Namespace) -> Result:
    nodeid = escape_surrogates(options.test or "")
    with open_history(options.history) as connection:
        sessions = read_sessions(connection, options.order)
        if not sessions:
            return 0, [f"{options.history} has no sessions yet"]
        results = dict(read_results(connection, sessions, nodeid))
        if nodeid and not results:
            raise BadOption(f"{options.history} has no test {nodeid}")
        histories, equal = [], 0
        for history in map(classify, read_series(connection, sessions, nodeid)):
            if history.course == "equal" and not nodeid:
                equal += 1
            else:
                histories.append(history)
    if options.html:
        try:
            write_page(Path(options.html), histories, equal, sessions, results)
        except OSError as error:
            raise BadOption(f"{options.html} cannot be written: {error.strerror or error}") from None
    lines = [*text.format_sessions(sessions, options.order)]
    if nodeid:
        lines += text.format_verdicts(results.items())
    lines += [*text.format_history(histories, equal), *text.format_costs(results.items())]
    return 0, lines


def _run_since(options: Namespace) -> Result:
    with open_history(options.history) as connection:
        sessions = read_sessions(connection, options.order)
        start = find_start(sessions, options.since)
        _, lines = format_since(read_series(connection, sessions), sessions, start)
        return 0, [*text.format_sessions(sessions, options.order), *lines]


command = Command("values over commits, machines and time", _DESCRIPTION, _EXAMPLES, _add_arguments, _run)
