"""What of a plan can be run here, where not even the reference's values need be to be had."""

from __future__ import annotations

from typing import NamedTuple

from pytest_repro.axes import get_axis
from pytest_repro.core.plan.cell import AxisValues, make_reference_cell
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run


class AvailablePlan(NamedTuple):
    """What can be run of what was asked.

    Attributes:
        plan: What was asked; where an axis's reference is not to be had here, its next value that
            is stands in its place.
        unavailable: A run for each value passed over.
        unrunnable: Whether an axis has no value at all that is to be had here.
    """

    plan: Plan
    unavailable: tuple[Run, ...] = ()
    unrunnable: bool = False


def restrict_to_available(plan: Plan) -> AvailablePlan:
    """What can be run here of *plan*: ``device=("cuda", "cpu")`` begins on the CPU without a GPU."""
    found = [(each, _find_unavailable(plan, each)) for each in plan.vary]
    if not any(gone for _, gone in found):
        return AvailablePlan(plan)
    setting = make_reference_cell(plan.vary, 0).setting
    absent = tuple(
        Run(each.axis, value, "skipped", error=why, setting={**setting, each.axis: value}, state="absent")
        for each, gone in found
        for value, why in gone.items()
    )
    left = [each._replace(values=each.values[len(gone) :] or each.values) for each, gone in found]
    nothing = any(len(gone) == len(each.values) for each, gone in found)
    return AvailablePlan(plan._replace(vary=tuple(left)), absent, nothing)


def find_unavailable_reason(plan: Plan, axis: str, value: object) -> str:
    """Why a run of *plan* cannot be made at *value*; ``""`` where it can."""
    return get_axis(axis).why_unavailable(value) or get_axis(axis).why_too_few(value, plan.ranks)


def _find_unavailable(plan: Plan, axis_values: AxisValues) -> dict[object, str]:
    """The values before the first that is to be had here, and why each of them is not."""
    gone: dict[object, str] = {}
    for value in axis_values.values:
        why = get_axis(axis_values.axis).why_reference_unavailable(value) or get_axis(
            axis_values.axis
        ).why_too_few(value, plan.ranks)
        if not why:
            break
        gone[value] = why
    return gone
