"""The lines that a run went through, and where two runs first parted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple


class LineStep(NamedTuple):
    """What one line did.

    Attributes:
        location: ``"/abs/data.py:12"``.
        changed_locals: Names of the local variables that hold something else after it, with a digest of
            that each; ``return`` is what a function gave.
    """

    location: str
    changed_locals: tuple[tuple[str, str], ...]


class LineDivergence(NamedTuple):
    """Where the lines of two runs first parted.

    Attributes:
        location: The line; ``""`` where they did not.
        name: The local variable that differs after it; ``""`` where another line was run.
    """

    location: str = ""
    name: str = ""


def find_line_divergence(reference: Sequence[LineStep], other: Sequence[LineStep]) -> LineDivergence:
    """Where two runs first did something else: another line, or another value in a local variable."""
    for a, b in zip_longest(reference, other):
        if a == b:
            continue
        if a is None or b is None or a.location != b.location:
            return LineDivergence((a or b).location)
        mine, other_ = dict(a.changed_locals), dict(b.changed_locals)
        name = next((n for n in {**mine, **other_} if mine.get(n) != other_.get(n)), "")
        return LineDivergence(a.location, name)
    return LineDivergence()
