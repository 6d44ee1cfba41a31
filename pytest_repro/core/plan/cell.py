"""Under what a run is made: one cell of the plan, where at most one axis is off its reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

REPEAT = "repeat"
"""The axis of runs between which nothing is varied."""


class AxisValues(NamedTuple):
    """One axis of a plan, with what the rest of the house needs to know of it.

    Attributes:
        axis: Its name, which is the marker's keyword.
        values: All values, the reference's first.
        remote: Whether the other values need another interpreter.
        close: Whether closeness is expected where the plan asks no tolerance.
        mixed_dtypes: Whether dtypes may differ between values.
    """

    axis: str
    values: tuple[object, ...]
    remote: bool = False
    close: bool = False
    mixed_dtypes: bool = False


class Cell(NamedTuple):
    """Under what one run is made.

    Attributes:
        axis: What is varied; ``"repeat"``: nothing.
        value: The value on that axis; for ``"repeat"`` the number of the run, from 0.
        setting: Axis → value, of every axis of the plan.
        repeat_of: Of a repeat away from the reference: the axis and value that it repeats.
    """

    axis: str = REPEAT
    value: object = 0
    setting: Mapping[str, object] = {}
    repeat_of: tuple[str, object] | None = None

    def as_repeat(self, number: int = 1) -> Cell:
        """The same cell a second time."""
        return Cell(REPEAT, number, self.setting, (self.axis, self.value))


def make_reference_cell(vary: tuple[AxisValues, ...], number: int) -> Cell:
    """The run *number* at the reference value of every axis."""
    return Cell(REPEAT, number, {each.axis: each.values[0] for each in vary})


def iter_other_cells(vary: tuple[AxisValues, ...], remote: bool) -> Iterator[Cell]:
    """A cell for each value beside the reference: one axis at a time, so that it can be named.

    Args:
        vary: The axes of a plan.
        remote: Whether those are asked that need another interpreter, or those that do not.
    """
    reference = make_reference_cell(vary, 0).setting
    for each in vary:
        if each.remote is remote:
            for value in each.values[1:]:
                yield Cell(each.axis, value, {**reference, each.axis: value})
