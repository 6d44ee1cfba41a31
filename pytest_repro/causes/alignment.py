"""Where in memory arrays begin: kernels take other ways at odd offsets."""

from __future__ import annotations

from typing import ClassVar

from pytest_repro.causes import AxisCause


class Alignment(AxisCause):
    """The axis is the cause: repeatable at each offset, different between them."""

    explanation_template: ClassVar = (
        "run to run each offset gives the same, and {beside} differ: kernels treat aligned memory apart"
    )
    fix: ClassVar = (
        "copy what is sliced before it is computed with (contiguous(), .copy()), or compare within a "
        "tolerance"
    )


cause = Alignment()
