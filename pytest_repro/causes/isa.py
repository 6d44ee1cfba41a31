"""The instruction set: vectors of another width round in another order."""

from __future__ import annotations

from typing import ClassVar

from pytest_repro.causes import AxisCause


class Isa(AxisCause):
    """The axis is the cause: repeatable at each value, different between them."""

    explanation_template: ClassVar = (
        "run to run each instruction set gives the same, and {beside} differ: vectors of another width "
        "add up in another order, and torch.randn draws other numbers"
    )
    fix: ClassVar = (
        "fix the instruction set (ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA, MKL_CBWR) wherever bits must "
        "be equal, draw inputs with repro.rng(), or compare within a tolerance"
    )


cause = Isa()
