"""Which values of a plan's axes are available on this machine."""

from __future__ import annotations

from typing import NamedTuple

from pytest_repro.axes import get_axis
from pytest_repro.core.plan.plan import AxisValues, Cell, Plan, make_reference_cell
from pytest_repro.core.runs.run import Run


class AvailablePlan(NamedTuple):
    """A plan restricted to this machine.

    Attributes:
        plan: The plan; an unavailable reference value is replaced by the next available one.
        unavailable: A skipped run for each unavailable value.
        unrunnable: Whether an axis has no available value.
    """

    plan: Plan
    unavailable: tuple[Run, ...] = ()
    unrunnable: bool = False


def restrict_to_available(plan: Plan) -> AvailablePlan:
    """*plan* restricted to this machine: ``device=("cuda", "cpu")`` begins on the CPU without a GPU."""
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


def find_fixed_unavailable(plan: Plan) -> list[tuple[Cell, str]]:
    """The values that are the only one of their axis and were not in effect in a run, with the reason."""
    setting = make_reference_cell(plan.vary, 0).setting
    fixed = ((axis, values[0]) for axis, values, *_ in plan.vary if len(values) == 1)
    found = ((Cell(*each, setting), get_axis(each[0]).why_not_in_effect(each[1])) for each in fixed)
    return [(cell, why) for cell, why in found if why]


def find_unavailable_reason(plan: Plan, axis: str, value: object) -> str:
    """Why no run of *plan* is possible at *value*; ``""`` if one is."""
    return get_axis(axis).why_unavailable(value) or get_axis(axis).why_too_few(value, plan.ranks)


def _find_unavailable(plan: Plan, axis_values: AxisValues) -> dict[object, str]:
    """The unavailable values before the first available one, each with the reason."""
    gone: dict[object, str] = {}
    for value in axis_values.values:
        why = get_axis(axis_values.axis).why_reference_unavailable(value) or get_axis(
            axis_values.axis
        ).why_too_few(value, plan.ranks)
        if not why:
            break
        gone[value] = why
    return gone
