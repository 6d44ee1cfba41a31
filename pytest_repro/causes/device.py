"""The devices themselves: their kernels round otherwise."""

from __future__ import annotations

from typing import ClassVar

from pytest_repro.causes import AxisCause


class Device(AxisCause):
    """The axis is the cause: repeatable at each value, different between them."""

    explanation_template: ClassVar = (
        "run to run each device gives the same, and {beside} differ: their kernels add in another order, "
        "and take other ways"
    )
    fix: ClassVar = (
        "compare within a tolerance (leave rtol and atol out), draw inputs on the CPU and move them "
        "(repro.generator()), and set TF32 off: torch.backends.cuda.matmul.allow_tf32 = False"
    )


cause = Device()
