"""Diagnoses a test once its call is reported, when it can run again in this process."""

from __future__ import annotations

import sys
from collections.abc import Generator

import pytest

from pytest_repro.plugin import peers
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
        self._torn_down: dict[pytest.Item, tuple[list[BaseException], list[tuple[str, str]]]] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Adds the cause to the failure, after all other plugins have seen the report."""
        report = yield
        runner = item.stash.get(RUNNER, None)
        if call.when == "call" and runner is not None and self._judge.is_undiagnosed(runner):
            with peers.wrap_pause(item):
                with set_aside(item) as errors:
                    self._judge.diagnose_late(runner, self._run_experiment)
                ItemReporter(runner).replace_failure(call, report)
            self._torn_down[item] = errors, _pop_output(item)
        return report

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        """Prints and raises what the tear-down before the diagnosis did."""
        errors, output = self._torn_down.pop(item, ([], []))
        yield
        for stream, text in output:
            getattr(sys, stream).write(text)
        if errors:
            raise errors[0]


def _pop_output(item: pytest.Item) -> list[tuple[str, str]]:
    """What *item* printed in its tear-down, by stream; it is taken from what the report shows."""
    sections = item._report_sections
    printed = [each for each in sections if each[0] == "teardown" and each[1] in ("stdout", "stderr")]
    sections[:] = [each for each in sections if each not in printed]
    return [(stream, text) for _, stream, text in printed]
