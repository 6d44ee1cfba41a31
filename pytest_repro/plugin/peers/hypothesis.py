"""Hypothesis: the same examples in each run, and a database that rehearsals only read."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pytest_repro.core.plan.plan import Plan
from pytest_repro.plugin.peers import Peer
from pytest_repro.plugin.stash import RUNNER

if TYPE_CHECKING:
    from pytest_repro.plugin.run.item_runner import ItemRunner

# Private names of Hypothesis. If one is gone, nothing is done.
_GLOBAL_RANDOM = "_hypothesis_global_random"
_SETTINGS_ATTRIBUTE = "_hypothesis_internal_use_settings"


class _FixedRandom:
    """Replaces the generator that seeds each test without a seed of its own.

    So ``@seed``, ``derandomize`` and ``--hypothesis-seed`` still win.
    """

    def __init__(self, runner: ItemRunner) -> None:
        self._runner = runner

    def getrandbits(self, bits: int) -> int:
        """The seed of this run, for each ``@given`` in it; the same in all compared runs."""
        self._runner.extra_results.generators_used = True
        return self._runner.current.spec.seed


@contextmanager
def _patch_attribute(owner: Any, name: str, value: object) -> Iterator[None]:
    # MonkeyPatch cannot undo this: Hypothesis's own kind of thread-local forwards no delattr.
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _find_settings(item: Any) -> Iterator[tuple[Any, str, Any]]:
    """Where the settings of *item* are: on the function that ``@given`` made, or on a state machine."""
    from hypothesis import settings

    function = getattr(item, "obj", None)
    function = getattr(function, "__func__", function)
    for owner, name in ((function, _SETTINGS_ATTRIBUTE), (getattr(item, "cls", None), "settings")):
        found = getattr(owner, name, None)
        if isinstance(found, settings):
            yield owner, name, found


class Hypothesis(Peer):
    """Draws the same examples in each run, unless the user chose a seed."""

    module = "hypothesis.core"

    @contextmanager
    def wrap_runs(self, item: pytest.Item, plan: Plan) -> Iterator[None]:
        from hypothesis import core

        fixed = _FixedRandom(item.stash[RUNNER])
        with ExitStack() as stack:
            for owner in (getattr(core, "threadlocal", None), core):
                if hasattr(owner, _GLOBAL_RANDOM):
                    stack.enter_context(_patch_attribute(owner, _GLOBAL_RANDOM, fixed))
            for owner, name, found in _find_settings(item):
                stack.enter_context(_patch_attribute(owner, name, _allow_reruns(item, found)))
            yield

    @contextmanager
    def wrap_rehearsals(self, item: pytest.Item) -> Iterator[None]:
        before = dict(vars(item))
        with ExitStack() as stack:
            for owner, name, found in _find_settings(item):
                stack.enter_context(_patch_attribute(owner, name, _make_database_read_only(found)))
            yield
        for name in [name for name in vars(item) if "hypothesis" in name and name not in before]:
            del vars(item)[name]  # attached to reports: only the last run has one

    def has_own_seed(self, item: pytest.Item) -> bool:
        # Hypothesis's profile for CI derandomizes: no seed of ours changes such examples.
        seed = getattr(getattr(item, "obj", None), "_hypothesis_internal_use_seed", None)
        given = seed if seed is not None else item.config.getoption("hypothesis_seed", None)
        return given is not None or any(found.derandomize for _, _, found in _find_settings(item))


def _allow_reruns(item: Any, parent: Any) -> Any:
    """The test's settings without the health checks that running it again would trip.

    A method is called on a fresh instance in each run. ``repro`` is a function-scoped fixture that each
    example may use: each records a step of the series.
    """
    from hypothesis import HealthCheck, settings

    ours, names = {HealthCheck.differing_executors}, inspect.signature(item.function).parameters
    if [name for name in names if _is_function_fixture(item, name)] == ["repro"]:
        ours.add(HealthCheck.function_scoped_fixture)
    return settings(parent=parent, suppress_health_check=[*ours.union(parent.suppress_health_check)])


def _is_function_fixture(item: Any, name: str) -> bool:
    found = item.session._fixturemanager.getfixturedefs(name, item)
    return bool(found) and found[-1].scope == "function"


def _make_database_read_only(parent: Any) -> Any:
    if parent.database is None:
        return parent
    from hypothesis import settings
    from hypothesis.database import ReadOnlyDatabase

    return settings(parent=parent, database=ReadOnlyDatabase(parent.database))


peer = Hypothesis()
