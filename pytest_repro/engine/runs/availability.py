"""What of a plan can be run here, where not even the reference's values need be to be had."""

from __future__ import annotations

from typing import NamedTuple

from pytest_repro.axes import named
from pytest_repro.core.plan.cell import Varied, repeat
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run


class Reach(NamedTuple):
    """What can be run of what was asked.

    Attributes:
        plan: What was asked; where an axis's reference is not to be had here, its next value that
            is stands in its place.
        absent: A run for each value passed over.
        nothing: Whether an axis has no value at all that is to be had here.
    """

    plan: Plan
    absent: tuple[Run, ...] = ()
    nothing: bool = False


def within_reach(plan: Plan) -> Reach:
    """What can be run here of *plan*: ``device=("cuda", "cpu")`` begins on the CPU without a GPU."""
    found = [(each, _passed_over(plan, each)) for each in plan.vary]
    if not any(gone for _, gone in found):
        return Reach(plan)
    setting = repeat(plan.vary, 0).setting
    absent = tuple(
        Run(each.axis, value, "skipped", error=why, setting={**setting, each.axis: value}, state="absent")
        for each, gone in found
        for value, why in gone.items()
    )
    left = [each._replace(values=each.values[len(gone) :] or each.values) for each, gone in found]
    nothing = any(len(gone) == len(each.values) for each, gone in found)
    return Reach(plan._replace(vary=tuple(left)), absent, nothing)


def missing(plan: Plan, axis: str, value: object) -> str:
    """Why a run of *plan* cannot be made at *value*; ``""`` where it can."""
    return named(axis).missing(value) or named(axis).short(value, plan.ranks)


def _passed_over(plan: Plan, each: Varied) -> dict[object, str]:
    """The values before the first that is to be had here, and why each of them is not."""
    gone: dict[object, str] = {}
    for value in each.values:
        why = named(each.axis).gone(value) or named(each.axis).short(value, plan.ranks)
        if not why:
            break
        gone[value] = why
    return gone
