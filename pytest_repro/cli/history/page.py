"""The HTML page of a history: a line for each value, in one file that loads nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pytest_repro.cli.history.changes import Course, History
from pytest_repro.cli.history.series import Point, Result, Session
from pytest_repro.cli.history.text import COURSE_TEXTS, COURSES, describe_course, format_content, name_session
from pytest_repro.core.files import replace_file
from pytest_repro.reports.failure import plural
from pytest_repro.reports.html.labels import VerdictStyle
from pytest_repro.reports.html.scales import Scale
from pytest_repro.reports.html.templates import render_template

MAX_VALUES = 500
"""Most values on the page; each takes about 60 bytes for each change."""
_MAX_CHANGES = 400  # most changes of a line; of more, some neighbours are drawn
_MAX_MARKS = 60  # most changes that have a dot: more would hide the line
_WIDTH, _HEIGHT, _MARGIN = 600.0, 64.0, 8.0

STYLES: Mapping[Course, VerdictStyle] = {
    "alternates": VerdictStyle("≈", "bad", "differs at one commit, environment and seed"),
    "changed": VerdictStyle("≠", "warn", "changed from one session to the next"),
    "follows": VerdictStyle("⇄", "idle", "another value for each value of a field"),
    "equal": VerdictStyle("=", "good", "equal in all sessions"),
}


class Mark(NamedTuple):
    """A session on a line; *changed*: the value is another one than in the session before."""

    x: float
    y: float
    title: str
    changed: bool


class Line(NamedTuple):
    """The line of one value."""

    history: History
    style: VerdictStyle
    details: Sequence[str]
    path: Sequence[tuple[float, float]]  # its corners: a step for each change
    marks: Sequence[Mark]  # the first session, and each that changed
    first: str
    last: str  # its last value, at its end
    description: str


def write_page(
    path: Path,
    histories: Sequence[History],
    equal_count: int,
    sessions: Sequence[Session],
    results: Mapping[str, Sequence[Result]],
) -> None:
    """Writes the page; *equal_count* values that are equal in all sessions are only counted.

    Raises:
        OSError: The file cannot be written.
    """
    shown = sorted(histories, key=lambda history: COURSES.index(history.course))[:MAX_VALUES]
    counts = Counter(history.course for history in histories)
    counts["equal"] += equal_count
    costs = [line for nodeid, found in results.items() if (line := make_cost_line(nodeid, found, sessions))]
    page = render_template(
        "history.html",
        ("plots.css", "page.css", "history.css"),
        noun="values",
        title="History",
        lines=[make_line(history, sessions) for history in shown],
        costs=costs[:MAX_VALUES],
        counts=[(STYLES[each], COURSE_TEXTS[each], counts[each]) for each in COURSES if counts[each]],
        sentence=_format_sentence(counts),
        omitted=len(histories) - len(shown),
        sessions=sessions,
        name_session=name_session,
        tone="bad" if counts["alternates"] else "idle" if counts["changed"] else "good",
        width=_WIDTH,
        height=_HEIGHT,
    )
    replace_file(path, [page])


def _format_sentence(counts: Counter[Course]) -> str:
    total = sum(counts.values())
    if not total:
        return "No value is in the history."
    if counts["alternates"]:
        verb = "alternates" if counts["alternates"] == 1 else "alternate"
        return f"{counts['alternates']:,} of {plural(total, 'value')} {verb}."
    if counts["changed"]:
        return f"{counts['changed']:,} of {plural(total, 'value')} changed."
    return "No value changed."


def make_line(history: History, sessions: Sequence[Session]) -> Line:
    """The line of one value over *sessions*, from left to right."""
    points = _thin(history.series.points, len(history.changes))
    places = _place(sessions)
    heights = [_HEIGHT / 2] * len(points) if history.course == "equal" else _scale(_get_levels(points))
    path: list[tuple[float, float]] = []
    marks = []
    for number, (point, y) in enumerate(zip(points, heights)):
        x = places[point.session.ident]
        changed = number > 0 and points[number - 1].content.ident != point.content.ident
        if changed:
            _extend(path, x, path[-1][1])
        _extend(path, x, y)
        if changed or number == 0:
            marks.append(
                Mark(x, y, f"{name_session(point.session)}: {format_content(point.content)}", changed)
            )
    first, last = points[0], points[-1]
    description = f"{plural(len(history.series.points), 'session')}, {plural(len(history.changes), 'change')}"
    return Line(
        history,
        STYLES[history.course],
        list(describe_course(history)),
        path,
        marks if len(marks) <= _MAX_MARKS else marks[:1],
        format_content(first.content),
        format_content(last.content),
        description,
    )


def _thin(points: Sequence[Point], change_count: int) -> Sequence[Point]:
    """All points; of a value that changes too often pairs of them, from the first to the last."""
    if change_count <= _MAX_CHANGES:
        return points
    step = (len(points) - 1) / (_MAX_CHANGES / 2)
    starts = [int(number * step) for number in range(_MAX_CHANGES // 2)]
    return [points[number] for number in dict.fromkeys(n for s in starts for n in (s, s + 1))] + [points[-1]]


def _extend(path: list[tuple[float, float]], x: float, y: float) -> None:
    if len(path) > 1 and path[-1][1] == path[-2][1] == y:
        path.pop()  # the line goes on
    path.append((x, y))


def make_cost_line(nodeid: str, results: Sequence[Result], sessions: Sequence[Session]) -> dict[str, object]:
    """The line of the cost of determinism of one test; empty unless two sessions measured it."""
    places = _place(sessions)
    ratios = [
        (places[each.session.ident], each.cost_ratio) for each in results if each.cost_ratio is not None
    ]
    if len(ratios) < 2:
        return {}
    heights = _scale([ratio for _, ratio in ratios])
    path = [(x, y) for (x, _), y in zip(ratios, heights)]
    return {"nodeid": nodeid, "path": path, "first": f"{ratios[0][1]:.2f}", "last": f"{ratios[-1][1]:.2f}"}


def _place(sessions: Sequence[Session]) -> dict[int, float]:
    step = (_WIDTH - 2 * _MARGIN) / max(len(sessions) - 1, 1)
    return {session.ident: round(_MARGIN + number * step, 1) for number, session in enumerate(sessions)}


def _get_levels(points: Sequence[Point]) -> list[float]:
    """The numbers of a value, or of contents without them their order."""
    numbers = [point.content.measure for point in points]
    if all(number is not None for number in numbers):
        levels = [float(number) for number in numbers if number is not None]
        # Means may be equal although the arrays differ.
        if len(set(levels)) == len({point.content.ident for point in points}):
            return levels
    order = {ident: rank for rank, ident in enumerate(dict.fromkeys(point.content.ident for point in points))}
    return [float(-order[point.content.ident]) for point in points]


def _scale(levels: Sequence[float]) -> list[float]:
    """Heights from top to bottom; the largest level is at the top."""
    scale = Scale(min(levels), max(levels), _HEIGHT - _MARGIN, _MARGIN)
    return [round(scale(each), 1) for each in levels]
