"""The plan of an item: the command line overrides its markers, and these the ini file."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pytest

from pytest_repro.core.plan.arguments import ARGUMENTS, BadArgument, override_plan
from pytest_repro.plugin.config.parsers import format_allowed
from pytest_repro.plugin.marker import MARKER_NAME, requests_repro

if TYPE_CHECKING:
    from pytest_repro.core.plan.plan import AxisValues, Plan
    from pytest_repro.plugin.config.settings import Settings


def resolve_plan(item: pytest.Item, settings: Settings) -> Plan:
    """The plan of *item*, which is marked, or audited.

    Markers of the module, the class and the function are merged; the nearest one wins.

    Raises:
        pytest.UsageError: A marker's argument is invalid; the message names the test and the argument.
    """
    marks = list(item.iter_markers(MARKER_NAME))
    try:
        arguments: dict[str, Any] = {}
        for mark in reversed(marks):  # from the module to the function
            if mark.args:
                raise BadArgument("", mark.args[0], f"takes keywords only: {', '.join(ARGUMENTS)}")
            arguments |= mark.kwargs
        # A test whose author asked for nothing may observe nothing.
        audit = not marks and not requests_repro(item)
        return _make_plan(settings, arguments, audit) if arguments else _get_default_plan(settings, audit)
    except BadArgument as error:
        raise pytest.UsageError(f"{item.nodeid}: @pytest.mark.{MARKER_NAME}: {error}") from None


def _make_plan(settings: Settings, arguments: dict[str, Any], audit: bool) -> Plan:
    own = {name: arguments[name] for name in ARGUMENTS if name in arguments}
    if isinstance(own.get("ranks"), (tuple, list)):  # several numbers of processes are an axis
        del own["ranks"]
    plan = override_plan(settings.defaults, own)
    vary = _resolve_axes(settings, {name: value for name, value in arguments.items() if name not in own})
    sizes: Any = next((each.values for each in vary if each.axis == "ranks"), ())
    if sizes:
        plan = plan._replace(ranks=sizes[0])
        vary = tuple(each for each in vary if each.axis != "ranks" or len(sizes) > 1)
    _check_rank_support(plan, vary)
    return plan._replace(**settings.command_line, audit=audit, vary=vary)


@lru_cache(maxsize=2)
def _get_default_plan(settings: Settings, audit: bool) -> Plan:
    """The plan of all tests whose markers have no arguments."""
    return _make_plan(settings, {}, audit)


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
        # An option is at fault, not the test. Only now that torch is imported are its devices known.
        source = "--repro-vary=" if error.name in settings.vary else "ini file: repro_vary = "
        values = ",".join(map(str, as_tuple(error.value)))
        raise pytest.UsageError(f"{source}{error.name}={values}: {format_allowed(error)}") from None


def _check_rank_support(plan: Plan, vary: tuple[AxisValues, ...]) -> None:
    """Raises BadArgument if *plan* has ranks and they do not support its seeds or an axis."""
    if not plan.ranks:
        return
    if plan.seeds:
        raise BadArgument("seeds", plan.seeds, f"not together with ranks={plan.ranks}")
    from pytest_repro.axes import get_axis

    for axis, values, *_ in vary:
        if why := get_axis(axis).why_not_in_ranks(values, plan.ranks):
            raise BadArgument(axis, values, why)
