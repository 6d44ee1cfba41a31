"""Diagnoses a test once its call is reported, when it can run again in this process."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from pytest_repro.plugin.judge.judge import Judge, RunFunction
from pytest_repro.plugin.judge.set_aside import set_aside
from pytest_repro.plugin.session.item_report import ItemReporter
from pytest_repro.plugin.stash import RUNNER


class LateDiagnosis:
    """Waits until the report of the call is made: a fixture may ask for it when it ends.

    Args:
        judge: Diagnoses the test.
        run_experiment: Runs the test again.
    """

    def __init__(self, judge: Judge, run_experiment: RunFunction) -> None:
        self._judge, self._run_experiment = judge, run_experiment
        self._errors: dict[pytest.Item, BaseException] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Adds the cause to the failure, after all other plugins have seen the report."""
        report = yield
        runner = item.stash.get(RUNNER, None)
        if call.when == "call" and runner is not None and runner.undiagnosed is not None:
            with set_aside(item) as errors:
                self._judge.diagnose_late(runner, self._run_experiment)
            self._errors.update((item, error) for error in errors)
            ItemReporter(runner).replace_failure(call, report)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        """Raises what ended the tear-down before the diagnosis."""
        yield
        error = self._errors.pop(item, None)
        if error is not None:
            raise error
