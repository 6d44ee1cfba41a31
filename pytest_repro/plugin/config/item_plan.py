"""The plan of an item: the command line wins over its markers, these over the ini file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pytest_repro.core.plan.cell import AxisValues
from pytest_repro.core.plan.plan import ARGUMENTS, BadArgument, Plan, override_plan
from pytest_repro.plugin.config.parsers import format_allowed
from pytest_repro.plugin.config.settings import Settings
from pytest_repro.plugin.marker import MARKER_NAME

FIXTURE = "repro"


def resolve_plan(item: pytest.Item, settings: Settings) -> Plan | None:
    """The plan of *item*; None if it is not marked.

    Markers of the module, the class and the function add up; the nearest one wins.

    Raises:
        pytest.UsageError: A marker's argument is invalid; the message names the test and the argument.
    """
    marked = _has_marker(item)
    requested = _requests_repro(item)
    if not (marked or settings.audit or requested):
        return None
    marks = list(item.iter_markers(MARKER_NAME)) if marked else []
    try:
        arguments = _merge_arguments(marks)
        plan = override_plan(settings.defaults, {n: v for n, v in arguments.items() if n in ARGUMENTS})
        vary = _resolve_axes(settings, {n: v for n, v in arguments.items() if n not in ARGUMENTS})
        _check_rank_support(plan, vary)
    except BadArgument as error:
        raise pytest.UsageError(f"{item.nodeid}: @pytest.mark.{MARKER_NAME}: {error}") from None
    # An audit demands nothing that the test's author did not.
    audit = not marks and not requested
    return plan._replace(**settings.command_line, audit=audit, vary=vary)


def _resolve_axes(settings: Settings, marker_axes: dict[str, Any]) -> tuple[AxisValues, ...]:
    """The axes, from the command line, the marker and the ini file, in this order."""
    if not (marker_axes or settings.vary or settings.vary_ini):
        return ()
    from pytest_repro.axes import as_tuple, resolve_axes, validate_argument_names

    validate_argument_names(marker_axes)
    try:
        return resolve_axes({**settings.vary_ini, **marker_axes, **settings.vary})
    except BadArgument as error:
        if error.name in marker_axes and error.name not in settings.vary:
            raise
        # No test asks for it. It was not refused at once, as torch, imported by now, knows its devices.
        where = "--repro-vary=" if error.name in settings.vary else "ini file: repro_vary = "
        said = ",".join(map(str, as_tuple(error.value)))
        raise pytest.UsageError(f"{where}{error.name}={said}: {format_allowed(error)}") from None


def _check_rank_support(plan: Plan, vary: tuple[AxisValues, ...]) -> None:
    """Checks that ranks support *plan* and each axis.

    Raises:
        BadArgument: They do not.
    """
    ranks = plan.ranks
    if not ranks:
        return
    if plan.seeds:
        raise BadArgument("seeds", plan.seeds, f"not together with ranks={ranks}")
    from pytest_repro.axes import get_axis

    for each in vary:
        if why := get_axis(each.axis).why_not_in_ranks(each.values, ranks):
            raise BadArgument(each.axis, each.values, why)


def _requests_repro(item: Any) -> bool:
    """Whether *item* requests our fixture ``repro``, not one of its own with that name."""
    if FIXTURE not in getattr(item, "fixturenames", ()):
        return False
    found = item._fixtureinfo.name2fixturedefs.get(FIXTURE)
    return found is None or found[-1].func.__module__ == "pytest_repro.plugin"


def _has_marker(item: pytest.Item) -> bool:
    """Whether *item* or a parent has the marker; ``item.keywords`` also holds names of folders."""
    node: Any = item
    while node is not None:
        for mark in node.own_markers:
            if mark.name == MARKER_NAME:
                return True
        node = node.parent
    return False


def _merge_arguments(marks: Sequence[pytest.Mark]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for mark in reversed(marks):  # from the module to the function
        if mark.args:
            allowed = f"takes keywords only: {', '.join(ARGUMENTS)}"
            raise BadArgument("positional", mark.args[0], allowed)
        arguments |= mark.kwargs
    return arguments
