"""The lines that a run went through, and where two runs first parted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple


class LineStep(NamedTuple):
    """What one line did.

    Attributes:
        location: ``"/abs/data.py:12"``.
        changed_locals: Name and digest of each local variable that the line changed; ``return`` is the value
            that a function returned.
    """

    location: str
    changed_locals: tuple[tuple[str, str], ...]


class LineDivergence(NamedTuple):
    """The first line in which two runs differ.

    Attributes:
        location: The line; ``""`` if none differs.
        name: The local variable that differs after it; ``""`` if the runs executed other lines.
    """

    location: str = ""
    name: str = ""


def find_line_divergence(reference: Sequence[LineStep], other: Sequence[LineStep]) -> LineDivergence:
    """The first line in which two runs differ: another line, or another value of a local variable."""
    for a, b in zip_longest(reference, other):
        if a == b:
            continue
        if a is None or b is None or a.location != b.location:
            return LineDivergence((a or b).location)
        ours, theirs = dict(a.changed_locals), dict(b.changed_locals)
        name = next((n for n in {**ours, **theirs} if ours.get(n) != theirs.get(n)), "")
        return LineDivergence(a.location, name)
    return LineDivergence()
