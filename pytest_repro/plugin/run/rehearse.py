"""Runs an item once more without reporting it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_repro.plugin.pytest_internals import run_silently


@contextmanager
def _reset_instance(item: Any) -> Iterator[None]:
    """Gives the next run a new class instance, and the function that other plugins may have wrapped."""
    before = vars(item).get("_obj")
    try:
        yield
    finally:
        vars(item).pop("_obj", None)
        if isinstance(item.parent, pytest.Class):
            vars(item).pop("_instance", None)
        if before is not None and getattr(before, "__self__", None) is None:
            item._obj = before


@contextmanager
def _restore_markers(item: pytest.Item) -> Iterator[None]:
    """Restores the markers: a run's own (``request.node.add_marker``) do not apply to the next one."""
    before = list(item.own_markers)
    try:
        yield
    finally:
        item.own_markers[:] = before


@contextmanager
def _restore_doctest_globals(item: Any) -> Iterator[None]:
    """Restores the globals of a doctest, which clears them after a run."""
    doctest = getattr(item, "dtest", None)
    before = dict(doctest.globs) if doctest is not None else {}
    try:
        yield
    finally:
        if doctest is not None:
            doctest.globs.update(before)


class Rehearser:
    """Runs items inside the protocol wrappers of other plugins, without reporting.

    A plugin limits a test's time or sets its warning filters in a wrapper, so each rehearsal has its own.
    Implementations that are not wrappers would run the test themselves; they are left out, except the one
    below, which acts only during a rehearsal.
    """

    def __init__(self, plugins: pytest.PytestPluginManager, excluded_plugin: object) -> None:
        self._plugins, self._excluded_plugin = plugins, excluded_plugin
        self._is_pending = False
        self._reports: list[pytest.TestReport] = []
        self._impls: list[Any] = []
        self._hook_caller: Any = None
        plugins.register(self, "repro-rehearser")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Runs the requested rehearsal; otherwise leaves the item to others."""
        if not self._is_pending:
            return None
        self._is_pending = False
        self._reports = run_silently(item)
        return True

    def rehearse(self, item: pytest.Item) -> list[pytest.TestReport]:
        """Runs *item* once; returns its reports, which nobody else sees."""
        self._is_pending, self._reports = True, []
        with _reset_instance(item), _restore_markers(item), _restore_doctest_globals(item):
            try:
                self._get_hook_caller()(item=item, nextitem=item)
            finally:
                self._is_pending = False
        return self._reports

    def _get_hook_caller(self) -> Any:
        """Calls the wrappers and this plugin; rebuilt when a plugin was added or removed."""
        impls = self._plugins.hook.pytest_runtest_protocol.get_hookimpls()
        if impls != self._impls:
            others = [i.plugin for i in impls if not (i.wrapper or i.hookwrapper) and i.plugin is not self]
            out = [*others, self._excluded_plugin]
            self._impls = impls
            self._hook_caller = self._plugins.subset_hook_caller("pytest_runtest_protocol", out)
        return self._hook_caller
