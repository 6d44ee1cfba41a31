"""``pytest-repro history``: since when a value differs, over commits, machines and versions."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_repro.cli.commands import BadOption, Command, Result
from pytest_repro.cli.history import text
from pytest_repro.cli.history.add import add_report
from pytest_repro.cli.history.changes import Change, FieldChange, classify
from pytest_repro.cli.history.database import BadHistory, open_history
from pytest_repro.cli.history.page import write_page
from pytest_repro.cli.history.series import Series, Session, read_results, read_series, read_sessions
from pytest_repro.cli.history.text import describe_fields, format_contents, name_session
from pytest_repro.core.text import escape_surrogates, parse_time
from pytest_repro.reports.failure import plural
from pytest_repro.reports.json.report import BadReport

_MAX_VALUES = 100
_DIGITS = re.compile(r"[0-9a-f]{4,40}")


def find_start(sessions: Sequence[Session], since: str) -> int:
    """The number of the first session after *since*: a commit or its first digits, a date, or a run id.

    Sessions of that commit or run, and those before it, are what later ones are compared with.

    Raises:
        BadHistory: There is no such session, or *since* is the beginning of several commits.
    """
    last = max((n for n, each in enumerate(sessions) if since == each.run_id), default=None)
    if last is None and _DIGITS.fullmatch(since):
        found = {each.commit.partition("-")[0] for each in sessions if each.commit.startswith(since)}
        if len(found) > 1:
            raise BadHistory(f"{since} is the beginning of {len(found)} commits: {', '.join(sorted(found))}")
        last = max((n for n, each in enumerate(sessions) if each.commit.startswith(since)), default=None)
    if last is not None:
        return last + 1
    if (at := parse_time(since)) is None:
        raise BadHistory(f"{since} is no commit or run of this history, and no date such as 2026-01-31")
    return sum(each.time < at.timestamp() for each in sessions)


def find_change(series: Series, later: set[int]) -> Change | None:
    """The first content that is new in the sessions *later*, by id; None without one."""
    old = {point.content.ident for point in series.points if point.session.ident not in later}
    if not old:
        return None
    changes = (each for each in classify(series).changes if each.after.session.ident in later)
    return next((each for each in changes if each.after.content.ident not in old), None)


def format_since(
    all_series: Iterator[Series], sessions: Sequence[Session], start: int
) -> tuple[int, Iterator[str]]:
    """The number of changed values, and the text: one block for each session in which some changed."""
    later = {session.ident for session in sessions[start:]}
    groups: dict[tuple[int, tuple[FieldChange, ...]], list[tuple[Series, Change]]] = {}
    total = new = changed = 0
    for series in all_series:
        total += 1
        new += all(point.session.ident in later for point in series.points)
        if (change := find_change(series, later)) is not None:
            changed += 1
            groups.setdefault((change.after.session.ident, change.fields), []).append((series, change))
    ranks = {session.ident: rank for rank, session in enumerate(sessions)}
    ordered = [groups[key] for key in sorted(groups, key=lambda key: ranks[key[0]])]
    return changed, _format_groups(ordered, sessions, start, (total, new, changed))


def _format_groups(
    groups: Sequence[Sequence[tuple[Series, Change]]],
    sessions: Sequence[Session],
    start: int,
    counts: tuple[int, int, int],
) -> Iterator[str]:
    total, new, changed = counts
    before = f"{plural(start, 'session')} before, {len(sessions) - start:,} since"
    yield f"{before}: {changed:,} of {plural(total, 'value')} changed" + (
        f", {new:,} {'is' if new == 1 else 'are'} new" if new else ""
    )
    for group in groups:
        yield ""
        first = group[0][1]
        tests = len({series.nodeid for series, _ in group})
        values = f"{plural(len(group), 'value')} of {plural(tests, 'test')}"
        yield f"since {name_session(first.after.session)}: {values}"
        yield from (f"  {line}" for line in describe_fields(first))
        yield from (
            f"    {series.nodeid}  {series.name}  {format_contents(change)}"
            for series, change in group[:_MAX_VALUES]
        )
        if len(group) > _MAX_VALUES:
            yield f"    and {len(group) - _MAX_VALUES:,} more"


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
