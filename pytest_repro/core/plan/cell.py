"""Cells of a plan: the values of all axes in one run, at most one of which is not its reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

REPEAT = "repeat"
"""The axis of runs between which nothing is varied."""


class AxisValues(NamedTuple):
    """One axis of a plan.

    Attributes:
        axis: Name of the axis, and keyword of the marker.
        values: All values, the reference first.
        remote: Whether the other values need another interpreter.
        close: Whether values may differ by rounding if the plan has no tolerance.
        mixed_dtypes: Whether dtypes may differ between values.
    """

    axis: str
    values: tuple[object, ...]
    remote: bool = False
    close: bool = False
    mixed_dtypes: bool = False


class Cell(NamedTuple):
    """The values of all axes in one run.

    Attributes:
        axis: What is varied; ``"repeat"`` if nothing is.
        value: Value on that axis; for ``"repeat"`` the number of the run, from 0.
        setting: Axis → value, of every axis of the plan.
        repeat_of: Axis and value that a run other than the reference repeats.
    """

    axis: str = REPEAT
    value: object = 0
    setting: Mapping[str, object] = {}
    repeat_of: tuple[str, object] | None = None

    def as_repeat(self, number: int = 1) -> Cell:
        """A repeat of this cell."""
        return Cell(REPEAT, number, self.setting, (self.axis, self.value))


def make_reference_cell(vary: tuple[AxisValues, ...], number: int) -> Cell:
    """Cell of the run *number* at the reference value of every axis."""
    return Cell(REPEAT, number, {axis.axis: axis.values[0] for axis in vary})


def iter_other_cells(vary: tuple[AxisValues, ...], remote: bool) -> Iterator[Cell]:
    """A cell for each value but the references, one axis at a time, so that a mismatch names its axis.

    Args:
        vary: Axes of a plan.
        remote: Whether to return the cells that need another interpreter, or those that do not.
    """
    reference = make_reference_cell(vary, 0).setting
    for axis in vary:
        if axis.remote is remote:
            for value in axis.values[1:]:
                yield Cell(axis.axis, value, {**reference, axis.axis: value})
