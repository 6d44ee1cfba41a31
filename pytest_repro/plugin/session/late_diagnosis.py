"""Diagnoses a test once its call is reported, when it can run again in this process."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest

from pytest_repro.plugin.run.item_runner import ItemRunner
from pytest_repro.plugin.run.set_aside import set_aside
from pytest_repro.plugin.stash import RUNNER

DiagnoseFunction = Callable[[ItemRunner], None]


class LateDiagnosis:
    """Waits until the report of the call is made: a fixture may ask for it when it ends.

    Args:
        diagnose: Diagnoses a test, which can run again meanwhile.
        replace_failure: Called with the call and its report; shows the cause.
    """

    def __init__(
        self,
        diagnose: DiagnoseFunction,
        replace_failure: Callable[[pytest.CallInfo[None], pytest.TestReport], None],
    ) -> None:
        self._diagnose, self._replace_failure = diagnose, replace_failure
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
                self._diagnose(runner)
            self._errors.update((item, error) for error in errors)
            self._replace_failure(call, report)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        """Raises what ended the tear-down before the diagnosis."""
        yield
        error = self._errors.pop(item, None)
        if error is not None:
            raise error
