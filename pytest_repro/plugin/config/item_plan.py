"""What is asked of an item: its markers, under the command line, above the ini file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pytest_repro.core.plan.cell import Varied
from pytest_repro.core.plan.plan import ARGUMENTS, BadArgument, Plan, asked
from pytest_repro.plugin.config.parsers import allowed_there
from pytest_repro.plugin.config.settings import Settings
from pytest_repro.plugin.marker import NAME

FIXTURE = "repro"


def plan_of(item: pytest.Item, settings: Settings) -> Plan | None:
    """The plan of *item*, or None when it is not marked.

    Markers of the module, the class and the function add up; the nearest one wins.

    Raises:
        pytest.UsageError: A marker's argument does not fit; names the test and the argument.
    """
    marked = _marked(item)
    requested = _requests_ours(item)
    if not (marked or settings.audit or requested):
        return None
    marks = list(item.iter_markers(NAME)) if marked else []
    try:
        arguments = _arguments(marks)
        plan = asked(settings.defaults, {n: v for n, v in arguments.items() if n in ARGUMENTS})
        vary = _varied(settings, {n: v for n, v in arguments.items() if n not in ARGUMENTS})
        _fits(plan, vary)
    except BadArgument as error:
        raise pytest.UsageError(f"{item.nodeid}: @pytest.mark.{NAME}: {error}") from None
    # An audit asks nothing of a test that its author did not ask.
    audit = not marks and not requested
    return plan._replace(**settings.commanded, audit=audit, vary=vary)


def _varied(settings: Settings, marked: dict[str, Any]) -> tuple[Varied, ...]:
    """The axes: the command line's, then the marker's, then those of the ini file."""
    if not (marked or settings.vary or settings.vary_ini):
        return ()
    from pytest_repro.axes import known, listed, varied

    known(marked)
    try:
        return varied({**settings.vary_ini, **marked, **settings.vary})
    except BadArgument as error:
        if error.name in marked and error.name not in settings.vary:
            raise
        # No test has asked for it. It was not refused at once: torch, by now imported, knows its devices.
        where = "--repro-vary=" if error.name in settings.vary else "ini file: repro_vary = "
        said = ",".join(map(str, listed(error.given)))
        raise pytest.UsageError(f"{where}{error.name}={said}: {allowed_there(error)}") from None


def _fits(plan: Plan, vary: tuple[Varied, ...]) -> None:
    """Checks that what *plan* asks, and each axis, can be had in ranks.

    Raises:
        BadArgument: One cannot.
    """
    ranks = plan.ranks
    if not ranks:
        return
    if plan.seeds:
        raise BadArgument("seeds", plan.seeds, f"not together with ranks={ranks}")
    from pytest_repro.axes import named

    for each in vary:
        if each.axis == "machine" or named(each.axis).asks:
            raise BadArgument(each.axis, each.values, f"not together with ranks={ranks}")
        if each.axis == "device" and not {"cpu", "cuda"}.issuperset(each.values):
            allowed = "with ranks 'cpu' and 'cuda' alone: each rank has the GPU of its own number"
            raise BadArgument(each.axis, each.values, allowed)


def _requests_ours(item: Any) -> bool:
    """Whether *item* takes the fixture ``repro``, and not one of its own that has the same name."""
    if FIXTURE not in getattr(item, "fixturenames", ()):
        return False
    found = item._fixtureinfo.name2fixturedefs.get(FIXTURE)
    return found is None or found[-1].func.__module__ == "pytest_repro.plugin"


def _marked(item: pytest.Item) -> bool:
    """Whether the marker is on *item* or above it; ``item.keywords`` holds names of folders as well."""
    node: Any = item
    while node is not None:
        for mark in node.own_markers:
            if mark.name == NAME:
                return True
        node = node.parent
    return False


def _arguments(marks: Sequence[pytest.Mark]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for mark in reversed(marks):  # from the module to the function
        if mark.args:
            allowed = f"takes keywords only: {', '.join(ARGUMENTS)}"
            raise BadArgument("positional", mark.args[0], allowed)
        arguments |= mark.kwargs
    return arguments
