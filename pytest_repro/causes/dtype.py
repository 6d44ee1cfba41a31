"""The dtype: it rounds, and generators draw other numbers in it."""

from __future__ import annotations

from typing import ClassVar

from pytest_repro.causes import AxisCause


class Dtype(AxisCause):
    """The axis is the cause: repeatable at each value, different between them."""

    explanation_template: ClassVar = (
        "run to run each dtype gives the same, and {beside} differ by more than the coarser of them rounds"
    )
    fix: ClassVar = (
        "draw inputs in one dtype and convert them; where they are equal, look for differences of large "
        "numbers, and sums that want a wider accumulator"
    )


cause = Dtype()
