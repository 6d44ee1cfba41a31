"""What changed since a commit, a date or a run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pytest_repro.cli.history.changes import Change, FieldChange, classify
from pytest_repro.cli.history.database import BadHistory
from pytest_repro.cli.history.series import Series, Session
from pytest_repro.cli.history.text import describe_fields, format_contents, name_session
from pytest_repro.core.text import parse_time
from pytest_repro.reports.failure import plural

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
