"""Whether a value changed once, again and again, or follows a field of the environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal, NamedTuple

from pytest_repro.cli.history.series import Point, Series, Session

Course = Literal["alternates", "changed", "follows", "equal"]
"""What a value did, the most important first.

- ``alternates``: it differs between sessions of one commit, environment and seed: a race, or an input that
  reports do not have.
- ``changed``: it changed from one session to the next, once or several times.
- ``follows``: it is another one for each value of a field, whenever that returns: machines of two kinds.
- ``equal``: it is the same in all sessions.
"""


class FieldChange(NamedTuple):
    """A field with different values in two sessions: ``–`` if it is missing, ``?`` if the commit is unknown.

    A commit with changed files may have equal values: the files may differ.
    """

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Change:
    """A value that changed from one session to the next.

    A field coincides with the change if its values in the sessions with the old content, up to the change,
    are others than in those with the new content, from the change on.

    Attributes:
        fields: Those that coincide: the cause is one of them, or something that is not recorded.
    """

    before: Point
    after: Point
    fields: tuple[FieldChange, ...]
    others: tuple[str, ...] = ()  # names of fields that changed between the two sessions, but do not coincide

    @property
    def established(self) -> FieldChange | None:
        """The only field that coincides; None if there are several, or none, or it is unknown."""
        (field, *others) = self.fields or (None,)
        if others or field is None or field.before == field.after or "?" in (field.before, field.after):
            return None
        return field


@dataclass(frozen=True, slots=True)
class History:
    """What a value did.

    Attributes:
        same: Two points with different contents at one commit, environment and seed, if it alternates.
    """

    series: Series
    course: Course
    changes: tuple[Change, ...] = ()  # each change, in order
    same: tuple[Point, Point] | None = None
    fields: tuple[str, ...] = ()  # those that it follows; if there are several, one of them is enough

    @property
    def content_count(self) -> int:
        return len({point.content.ident for point in self.series.points})


def classify(series: Series) -> History:
    """What the value of *series* did."""
    points = series.points
    runs = [list(group) for _, group in groupby(points, key=lambda point: point.content.ident)]
    changes = tuple(_make_change(old, new) for old, new in pairwise(runs))
    if not changes:
        return History(series, "equal")
    if (same := _find_unexplained(points)) is not None:
        return History(series, "alternates", changes, same)
    if len(changes) > 1 and (fields := _find_followed(points)):
        return History(series, "follows", changes, fields=fields)
    return History(series, "changed", changes)


def get_fields(point: Point) -> Mapping[str, str]:
    """Everything recorded that may change a value: environment, commit, seed, kind."""
    return {**point.session.fields, "seed": str(point.seed)}


def _make_change(old: Sequence[Point], new: Sequence[Point]) -> Change:
    """The change between two runs of points with equal contents."""
    before, after = old[-1], new[0]
    left, right = get_fields(before), get_fields(after)
    names = dict.fromkeys(("commit", *left, *right))
    changed = [name for name in names if left.get(name) != right.get(name)]
    fields = [name for name in changed if not _collect(old, name) & _collect(new, name)]
    found = [
        FieldChange(name, left.get(name, "–"), right.get(name, "–")) for name in fields if name != "commit"
    ]
    if "commit" in fields or _may_hide_changes(before.session, after.session):
        found.insert(0, FieldChange("commit", before.session.commit or "?", after.session.commit or "?"))
    coincide = {field.name for field in found}
    return Change(before, after, tuple(found), tuple(name for name in changed if name not in coincide))


def _collect(points: Sequence[Point], name: str) -> set[str]:
    return {get_fields(point).get(name, "–") for point in points}


def _may_hide_changes(a: Session, b: Session) -> bool:
    """Whether the code may differ although the commits do not: one is unknown, or files were changed."""
    return not (a.commit and b.commit) or (a.commit == b.commit and a.commit.endswith("-dirty"))


def _find_unexplained(points: Sequence[Point]) -> tuple[Point, Point] | None:
    """The first two points that differ, but in nothing that is recorded."""
    first: dict[tuple[tuple[str, str], ...], Point] = {}
    for point in points:
        if not point.session.commit or point.session.commit.endswith("-dirty"):
            continue
        other = first.setdefault(tuple(sorted(get_fields(point).items())), point)
        if other.content.ident != point.content.ident:
            return other, point
    return None


def _find_followed(points: Sequence[Point]) -> tuple[str, ...]:
    """The fields whose value decides which content there is, and returned at least once with it."""
    names = dict.fromkeys(name for point in points for name in get_fields(point) if name != "commit")
    return tuple(
        name for name in names if _follows([(get_fields(p).get(name, "–"), p.content.ident) for p in points])
    )


def _follows(pairs: Sequence[tuple[str, int]]) -> bool:
    contents: dict[str, int] = {}
    if any(contents.setdefault(value, content) != content for value, content in pairs):
        return False
    runs = [pair for n, pair in enumerate(pairs) if n == 0 or pairs[n - 1] != pair]
    return len(contents) > 1 and len(runs) > len(contents)  # some value has returned
