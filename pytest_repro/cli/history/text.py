"""The text of ``pytest-repro history show`` and ``since``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import get_args

from pytest_repro.cli.history.changes import Change, Course, FieldChange, History
from pytest_repro.cli.history.series import Content, Order, Result, Session, shorten_commit
from pytest_repro.metrics._arguments import format_list
from pytest_repro.reports.failure import format_labelled, plural

COURSES: tuple[Course, ...] = get_args(Course)
COURSE_TEXTS: Mapping[Course, str] = {
    "alternates": "alternate",
    "changed": "changed",
    "follows": "follow a field",
    "equal": "equal in all sessions",
}
_ORDERS: Mapping[Order, str] = {
    "started": "in the order of their start, by the clocks of their machines",
    "added": "in the order in which they were added",
}
_MAX_VALUES = 200
_MAX_CHANGES = 5
_MAX_NAMES = 6
_CLOCK_SECONDS = 120.0


def format_sessions(sessions: Sequence[Session], order: Order) -> Iterator[str]:
    """Number and order of the sessions, and those whose clock is wrong."""
    commits = len({session.commit for session in sessions if session.commit})
    span = f", {sessions[0].name} to {sessions[-1].name}" if len(sessions) > 1 else ""
    yield f"{plural(len(sessions), 'session')}, {plural(commits, 'commit')}{span}"
    yield _ORDERS[order]
    for session in sessions:
        if session.started_at is not None and session.started_at > session.added_at + _CLOCK_SECONDS:
            ahead = session.started_at - session.added_at
            why = (
                f"started {ahead:,.0f} s after it was added: a clock is wrong, --order=added does not use it"
            )
            yield from format_labelled("clock", [f"{session.name}{_format_shard(session)} {why}"])


def format_history(histories: Sequence[History], equal_count: int) -> Iterator[str]:
    """Counts, then every value that is not equal in all sessions."""
    counts = Counter(history.course for history in histories)
    counts["equal"] += equal_count
    total = sum(counts.values())
    words = ", ".join(f"{counts[course]:,} {COURSE_TEXTS[course]}" for course in COURSES if counts[course])
    yield f"{plural(total, 'value')}{': ' * bool(words)}{words}"
    shown = sorted(histories, key=lambda history: COURSES.index(history.course))[:_MAX_VALUES]
    for history in shown:
        yield ""
        yield from format_value(history)
    if len(histories) > len(shown):
        yield ""
        yield f"{len(histories) - len(shown):,} more; --test=NODEID shows those of one test, --html=PATH more"


def format_value(history: History) -> Iterator[str]:
    """What one value did, in lines."""
    points = history.series.points
    yield f"{history.series.nodeid}  {history.series.name}  {points[-1].content.kind}"
    yield from format_labelled(history.course, list(describe_course(history)))


def describe_course(history: History) -> Iterator[str]:
    """What one value did, without its name."""
    points, changes = history.series.points, history.changes
    if history.course == "equal":
        yield f"in {plural(len(points), 'session')}: {format_content(points[0].content)}"
    elif history.same is not None:
        a, b = history.same
        where = f"{plural(history.content_count, 'value')} in {plural(len(points), 'session')}"
        yield f"{where}, {plural(len(changes), 'change')}: differs at one commit, environment and seed"
        yield ", ".join(f"{format_content(each.content)} in {name_session(each.session)}" for each in (a, b))
        yield "a race, or an input that reports do not have"
    elif history.course == "follows":
        several = " (one of them, or several)" if len(history.fields) > 1 else ""
        yield f"{format_list(list(history.fields), _MAX_NAMES)}{several}"
        yield from _list_contents(history)
    else:
        times = "once" if len(changes) == 1 else f"{len(changes):,} times"
        yield f"{times} in {plural(len(points), 'session')}"
        for change in changes[-_MAX_CHANGES:]:
            yield from describe_change(change)
        if len(changes) > _MAX_CHANGES:
            yield f"and {len(changes) - _MAX_CHANGES:,} earlier changes"


def _list_contents(history: History) -> Iterator[str]:
    by_content: dict[int, list[str]] = {}
    contents = {point.content.ident: point.content for point in history.series.points}
    field = history.fields[0]
    for point in history.series.points:
        value = str(point.seed) if field == "seed" else point.session.fields.get(field, "–")
        names = by_content.setdefault(point.content.ident, [])
        if value not in names:
            names.append(value)
    for ident, names in list(by_content.items())[:_MAX_NAMES]:
        yield f"{format_content(contents[ident])} with {field} {format_list(names, _MAX_NAMES)}"


def describe_change(change: Change) -> Iterator[str]:
    """When a value changed, and what else did."""
    yield f"since {name_session(change.after.session)}: {format_contents(change)}"
    yield from (f"  {line}" for line in describe_fields(change))


def format_contents(change: Change) -> str:
    """``0.5, then 0.7``."""
    before, after = change.before.content, change.after.content
    kinds = f" ({before.kind}, then {after.kind})" if before.kind != after.kind else ""
    return f"{format_content(before)}, then {format_content(after)}{kinds}"


def describe_fields(change: Change) -> Iterator[str]:
    """What coincides with it, in a line."""
    names = format_list(change.others, _MAX_NAMES)
    others = f"; not with {names}, of which both sides share a value" if names else ""
    if (field := change.established) is not None:
        yield f"coincides with {format_field(field)} only{others}"
    elif change.fields:
        names = "; ".join(map(format_field, change.fields[:_MAX_NAMES]))
        more = f"; and {len(change.fields) - _MAX_NAMES} more" if len(change.fields) > _MAX_NAMES else ""
        together = "changed together: " if len(change.fields) > 1 else ""
        yield f"{together}{names}{more}{others}"
    else:
        yield f"coincides with nothing that is recorded{others}"


def format_field(field: FieldChange) -> str:
    """``numpy 2.3.1 to 2.4.0``."""
    name, before, after = field
    if name == "commit":
        if "?" in (before, after):
            return "the commit is unknown"
        if before == after:
            return f"files may differ from {shorten_commit(before)}"
        before, after = shorten_commit(before), shorten_commit(after)
    return f"{name} {before} to {after}"


def format_content(content: Content) -> str:
    """A value in short: the number, the text, or the mean of an array and a part of its digest."""
    detail = json.loads(content.detail)
    if len(values := detail.get("values", ())) == 1:
        return str(values[0])
    if "text" in detail:
        return str(detail["text"])
    mean = f"mean {content.measure:.9g}, " if content.measure is not None else ""
    return f"{mean}digest {detail['digest']}"


def name_session(session: Session) -> str:
    """``commit c0ffee (2026-01-31 08:00) shard 3/8``, as far as it is known."""
    return f"{session.name}{_format_shard(session)}"


def _format_shard(session: Session) -> str:
    return f" shard {session.shard}" if session.shard else ""


def format_costs(results: Iterable[tuple[str, Sequence[Result]]]) -> Iterator[str]:
    """A line for each test whose cost of determinism was measured: its first and its last ratio."""
    lines = []
    for nodeid, found in results:
        costs = [(each.session, each.cost_ratio) for each in found if each.cost_ratio is not None]
        if costs:
            (first, a), (last, b) = costs[0], costs[-1]
            low, high = (pick(ratio for _, ratio in costs) for pick in (min, max))
            if len(costs) == 1:
                lines.append(f"{nodeid}  {a:.2f} in {name_session(first)}")
            else:
                spread = f"{low:.2f} to {high:.2f} in {len(costs):,} sessions"
                lines.append(
                    f"{nodeid}  {a:.2f} in {name_session(first)}, {b:.2f} in {name_session(last)}; {spread}"
                )
    if lines:
        yield ""
        yield "cost of determinism (time with it, relative to time without)"
        yield from (f"  {line}" for line in lines[:_MAX_VALUES])


def format_verdicts(results: Iterable[tuple[str, Sequence[Result]]]) -> Iterator[str]:
    """The verdicts of one test, and its seconds."""
    for nodeid, found in results:
        counts = Counter(each.verdict or "ran once" for each in found)
        words = ", ".join(f"{word} in {count:,}" for word, count in counts.most_common())
        seconds = [each.seconds for each in found]
        yield f"{nodeid}: {words}; {seconds[0]:.3g} s in the first session, {seconds[-1]:.3g} s in the last"
