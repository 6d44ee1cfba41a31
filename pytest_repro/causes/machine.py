"""Another machine or interpreter: versions, libraries and processors of its own."""

from __future__ import annotations

from typing import ClassVar

from pytest_repro.causes import AxisCause


class Machine(AxisCause):
    """The axis is the cause: repeatable on each, different between them."""

    explanation_template: ClassVar = (
        "run to run each gives the same, and {beside} differ: each has versions and a processor of its own"
    )
    fix: ClassVar = "pin the versions that differ, or compare within a tolerance"


cause = Machine()
