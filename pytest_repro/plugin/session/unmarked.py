"""Rows of tests that are not marked, but in which an assertion of this package failed."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from pytest_repro.core.compare.verdict import NotReproducible, Verdict
from pytest_repro.core.plan.plan import REPEAT, Plan
from pytest_repro.core.runs.run import Run
from pytest_repro.engine.runs.run_source import format_error_line
from pytest_repro.plugin.judge.judge import make_paths_relative
from pytest_repro.plugin.session.rows import collect_rows, make_failing_row
from pytest_repro.plugin.stash import PLAN, REPORT_ATTRIBUTE

_PLUGIN_NAME = "repro-unmarked"
_ROW: pytest.StashKey[dict[str, Any]] = pytest.StashKey()


def note_failure(item: pytest.Item, error: object, report: pytest.TestReport) -> None:
    """Makes the row of *item* if an assertion of this package failed it; pytest has sent this *report*."""
    if not isinstance(error, NotReproducible) or PLAN in item.stash or report.when == "teardown":
        return
    asserted, config = error.verdict, item.config
    if asserted.outcome not in ("diverged", "unobserved"):
        return
    text, line = report.longreprtext, format_error_line(error)
    run = Run(REPEAT, 0, "failed", report.duration, error=line, traceback=text)
    causes = tuple(make_paths_relative(cause, config.rootpath) for cause in asserted.causes)
    divergence = make_paths_relative(asserted.divergence, config.rootpath)
    verdict = Verdict(asserted.outcome, Plan(runs=1), (run,), divergence=divergence, causes=causes)
    item.stash[_ROW] = make_failing_row(item, verdict)
    if not config.pluginmanager.has_plugin(_PLUGIN_NAME):
        config.pluginmanager.register(_RowSender(), _PLUGIN_NAME)
        collect_rows(config)


class _RowSender:
    """Sends rows with the tear-down's report, as those of marked tests."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        row = item.stash.get(_ROW, None)
        if row is not None and call.when == "teardown":
            del item.stash[_ROW]
            setattr(report, REPORT_ATTRIBUTE, row)
        return report
