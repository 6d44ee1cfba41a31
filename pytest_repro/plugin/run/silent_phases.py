"""The phases of a rehearsal, without what pytest does for reports alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_repro.plugin.pytest_internals import note_passed_phase

_HOOKS = ("pytest_runtest_setup", "pytest_runtest_call", "pytest_runtest_teardown")
_PASSED: Any = SimpleNamespace(passed=True, skipped=False, failed=False, when="")
"""The report of all phases that pass."""


class SilentPhases:
    """Runs the phases of items whose reports and output nobody sees.

    pytest makes a report of each phase, and captures each by itself: half of its time for a trivial test.
    Here only a phase that fails has a report, and the rehearsals of a test are captured together.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._plugins = config.pluginmanager
        self._capture: Any = self._plugins.get_plugin("capturemanager")
        self._hooks: dict[frozenset[object], Mapping[str, Any]] = {}
        self._streams: tuple[object, object] | None = None

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
        self._streams = sys.stdout, sys.stderr
        try:
            yield
        finally:
            self._streams = None
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
        note_passed_phase(item, when)
        return _PASSED

    def _end_phase(self) -> None:
        """Each phase begins with the streams that capture, as with pytest, and with those of ``capsys``."""
        if self._streams is not None and self._streams != (sys.stdout, sys.stderr):
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
