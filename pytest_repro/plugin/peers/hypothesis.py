"""Hypothesis: the same examples in each run, and a database that rehearsals only read."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_repro.core.plan import Plan
from pytest_repro.plugin.peers import Peer

# Names inside Hypothesis: what its own @seed and @settings set. Where one is gone, nothing is done.
_SEED = "_hypothesis_internal_use_seed"
_SETTINGS = "_hypothesis_internal_use_settings"


def _given(item: Any) -> Any:
    """The function that ``@given`` made, or None."""
    function = getattr(item, "obj", None)
    function = getattr(function, "__func__", function)
    known = hasattr(function, "hypothesis") and hasattr(function, _SEED) and hasattr(function, _SETTINGS)
    return function if known else None


@contextmanager
def _set(owner: Any, name: str, value: object) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


class Hypothesis(Peer):
    """Draws the same examples in each run, unless the user has said from which seed."""

    module = "hypothesis.core"

    @contextmanager
    def acting(self, item: pytest.Item, plan: Plan) -> Iterator[None]:
        function = _given(item)
        if function is None:
            yield
            return
        from hypothesis import core

        said = getattr(function, _SEED) is not None or core.global_force_seed is not None
        seed = getattr(function, _SEED) if said else plan.seed
        with _set(function, _SEED, seed), _set(function, _SETTINGS, _allowing(item, function)):
            yield

    @contextmanager
    def rehearsing(self, item: pytest.Item) -> Iterator[None]:
        function = _given(item)
        settings = getattr(function, _SETTINGS, None)
        if settings is None or settings.database is None:
            yield
            return
        from hypothesis import settings as make
        from hypothesis.database import ReadOnlyDatabase

        reading = make(parent=settings, database=ReadOnlyDatabase(settings.database))
        with _set(function, _SETTINGS, reading):
            yield


def _allowing(item: Any, function: Any) -> Any:
    """The test's settings without the health checks that running it again would trip.

    A method is called on a fresh instance in each run. ``repro`` is a function fixture, and may be
    used once per example: each records a step of the series.
    """
    from hypothesis import HealthCheck, settings

    ours = {HealthCheck.differing_executors}
    fixtures = set(inspect.signature(item.function).parameters) & set(item.fixturenames)
    if fixtures == {"repro"}:
        ours.add(HealthCheck.function_scoped_fixture)
    before = getattr(function, _SETTINGS)
    return settings(parent=before, suppress_health_check=[*ours.union(before.suppress_health_check)])


peer = Hypothesis()
