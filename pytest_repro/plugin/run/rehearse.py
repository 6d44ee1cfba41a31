"""Runs an item once more without reporting it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_repro.plugin.pytest_internals import (
    PASSED_PHASES,
    copy_as_next,
    run_and_report_silently,
    teardown_for_next,
)
from pytest_repro.plugin.run.silence import silence
from pytest_repro.plugin.workerinput import is_rank

_HOOKS = ("pytest_runtest_setup", "pytest_runtest_call", "pytest_runtest_teardown")
_PASSED: Any = SimpleNamespace(passed=True, skipped=False, failed=False, when="")
"""The report of all phases that pass."""


class SilentPhases:
    """Runs the phases of items whose reports and output nobody sees.

    pytest makes a report of each phase, and captures each by itself: half of its time for a trivial test.
    Here only a phase that fails has a report, and what a rehearsal prints is dropped at its end.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._plugins = config.pluginmanager
        self._capture: Any = self._plugins.get_plugin("capturemanager")
        self._hooks: dict[frozenset[object], Mapping[str, Any]] = {}

    def get_hooks(self, item: pytest.Item) -> Mapping[str, Any]:
        """The hooks of the phases for *item*, without pytest's capturing."""
        unused: frozenset[object] = frozenset(getattr(item.ihook, "remove_mods", ()))  # conftests elsewhere
        if unused not in self._hooks:
            removed = [*unused, self._capture]
            self._hooks[unused] = {name: self._plugins.subset_hook_caller(name, removed) for name in _HOOKS}
        return self._hooks[unused]

    @contextmanager
    def capture(self) -> Iterator[None]:
        """Captures the output of the block, and drops it."""
        if self._capture is None:
            yield
            return
        self._capture.resume_global_capture()
        try:
            yield
        finally:
            self._capture.deactivate_fixture()  # still active after an interrupt
            self._capture.suspend_global_capture(in_=False)
            self._capture.read_global_capture()

    def run(self, item: Any, nextitem: pytest.Item) -> list[pytest.TestReport]:
        """Runs the three phases of *item* as pytest does; returns their reports."""
        if not getattr(item, "_request", True):
            item._initrequest()
        try:
            reports = [self._run_phase(item, "setup")]
            if reports[0].passed:
                reports.append(self._run_phase(item, "call"))
            ends = item.session.shouldfail or item.session.shouldstop
            reports.append(self._run_phase(item, "teardown", nextitem=None if ends else nextitem))
            if self._capture is not None:
                self._capture.read_global_capture()  # a thousand runs would fill the disk
        finally:
            if hasattr(item, "_request"):
                item._request, item.funcargs = False, None
        return reports

    def _run_phase(self, item: Any, when: Any, **arguments: pytest.Item | None) -> Any:
        try:
            getattr(item.ihook, f"pytest_runtest_{when}")(item=item, **arguments)
        except BaseException as error:
            return _make_report(item, when, error)
        finally:
            self._end_phase()
        if vars(item).get("_excinfo"):  # what a test of unittest raised
            return _make_report(item, when, None)
        item.stash.setdefault(PASSED_PHASES, {})[when] = True
        return _PASSED

    def _end_phase(self) -> None:
        """Each phase begins with the files that capture, as with pytest, and with those of ``capsys``."""
        if self._capture is not None:
            self._capture.deactivate_fixture()
            self._capture.suspend_global_capture(in_=False)
            self._capture.resume_global_capture()
            self._capture.activate_fixture()


def _make_report(item: pytest.Item, when: Any, error: BaseException | None) -> pytest.TestReport:
    def end() -> None:
        if error is not None:
            raise error

    ends_session: tuple[type[BaseException], ...] = (pytest.exit.Exception,)
    if not item.config.getoption("usepdb", False):
        ends_session = (*ends_session, KeyboardInterrupt)
    call = pytest.CallInfo.from_call(end, when, ends_session)
    report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=call)
    return report


def _save_item(item: Any) -> Callable[[], None]:
    """Saves *item* before a run; the returned function prepares it for the next one.

    That gets a new class instance, the function that other plugins may have wrapped, none of the markers
    that a run adds (``request.node.add_marker``), and the globals that a doctest clears after it ran.
    """
    function, markers = vars(item).get("_obj"), list(item.own_markers)
    doctest = getattr(item, "dtest", None)
    doctest_globals = dict(doctest.globs) if doctest is not None else {}

    def restore() -> None:
        vars(item).pop("_obj", None)
        if isinstance(item.parent, pytest.Class):
            vars(item).pop("_instance", None)
        if function is not None and getattr(function, "__self__", None) is None:
            item._obj = function
        elif function is not None and not getattr(item, "nofuncargs", False):  # of unittest
            item.obj  # noqa: B018  it makes the instance: pandas' fixtures ask for item._obj
        item.own_markers[:] = markers
        if doctest is not None:
            doctest.globs.update(doctest_globals)

    return restore


class Rehearser:
    """Runs items inside the protocol wrappers of other plugins, without reporting.

    A plugin limits a test's time or sets its warning filters in a wrapper, so each rehearsal has its own.
    Implementations that are not wrappers would run the test themselves; they are left out, except the one
    below, which acts only during a rehearsal.
    """

    def __init__(self, config: pytest.Config, excluded_plugin: object) -> None:
        self._plugins, self._excluded_plugin = config.pluginmanager, excluded_plugin
        self._is_rank = is_rank(config)
        self._is_pending = False
        self._reports: list[pytest.TestReport] = []
        self._impls: tuple[list[Any], list[Any]] = [], []
        self._hook_caller: Any = None
        self._next: pytest.Item | None = None
        self._left_out: pytest.Item | None = None
        self._phases, self._are_reports_read = SilentPhases(config), True
        self._plugins.register(self, "repro-rehearser")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Runs the requested rehearsal; otherwise leaves the item to others, unless it has run elsewhere."""
        if not self._is_pending:
            is_left_out, self._left_out = self._left_out is item, None
            return is_left_out or None
        self._is_pending = False
        run = run_and_report_silently if self._are_reports_read else self._phases.run
        self._reports = run(item, self._get_next(item))
        return True

    def leave_out(self, item: pytest.Item) -> None:
        """Keeps others from running *item*, which has run in another interpreter."""
        self._left_out = item

    @contextmanager
    def silence(
        self, item: pytest.Item, on_report: Callable[[Any], None], on_warning: Callable[[Any], None]
    ) -> Iterator[None]:
        """Keeps rehearsals of *item* in the block from being seen by others; see :func:`silence`."""
        self._find_hooks()
        if self._are_reports_read:
            with silence(item, on_report, on_warning, {}):
                yield
        else:
            hooks = self._phases.get_hooks(item)
            with self._phases.capture(), silence(item, on_report, on_warning, hooks):
                yield

    def rehearse(self, item: pytest.Item) -> list[pytest.TestReport]:
        """Runs *item* once; returns its reports, which nobody else sees."""
        self._is_pending, self._reports = True, []
        restore = _save_item(item)
        try:
            self._hook_caller(item=item, nextitem=item)
        finally:
            self._is_pending = False
        restore()  # not after an interrupt: fixtures end later, and unittest needs its instance
        return self._reports

    def _get_next(self, item: pytest.Item) -> pytest.Item:
        if self._next is None or self._next.parent is not item.parent:
            self._next = copy_as_next(item)
        return self._next

    def _find_hooks(self) -> None:
        """Finds the wrappers of other plugins, and whether one reads reports, after a plugin was added."""
        hook = self._plugins.hook
        impls = hook.pytest_runtest_protocol.get_hookimpls(), hook.pytest_runtest_makereport.get_hookimpls()
        if impls == self._impls:
            return
        self._impls = impls
        runners = [each.plugin for each in impls[0] if not (each.wrapper or each.hookwrapper)]
        removed = [self._excluded_plugin, *(plugin for plugin in runners if plugin is not self)]
        self._hook_caller = self._plugins.subset_hook_caller("pytest_runtest_protocol", removed)
        readers = {each.function.__module__.partition(".")[0] for each in impls[1]}
        # A rank sends what its reports show.
        self._are_reports_read = self._is_rank or not readers <= {"_pytest", "pytest_repro"}


def end_fixtures(item: Any) -> None:
    """Ends the fixtures of *item*, whose runs were interrupted; pytest itself would do so with the session.

    They restore what they found, which the plugin has set, so they end before the plugin restores.
    """
    try:
        teardown_for_next(item.session, copy_as_next(item))
    except Exception as error:
        item.parent.addfinalizer(partial(_throw, error))  # shown where pytest would show it


def _throw(error: Exception) -> None:
    raise error
