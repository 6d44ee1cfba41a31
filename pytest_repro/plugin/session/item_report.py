"""What the reports of a test tell: why it fails, in sections and in text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pytest_repro.core.text import escape_surrogates
from pytest_repro.plugin.exceptions import (
    CompanionLost,
    NotReproducibleFailure,
    RankFailed,
    SeedDependent,
    make_failure,
)
from pytest_repro.plugin.extra_runs.results import describe_possible_side_effects as asked_besides
from pytest_repro.plugin.pytest_internals import make_plain_repr
from pytest_repro.plugin.run.item_runner import ItemRunner
from pytest_repro.plugin.session.rows import attach_row
from pytest_repro.reports.failure import runs
from pytest_repro.reports.failure.text import format_failure_note, format_headline
from pytest_repro.reports.session import seed_check


def update_report(runner: ItemRunner, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Hangs on a report of the last run what follows from all of them.

    The row of the JSON report travels with the tear-down's report: through xdist, and past the
    crash of a worker that had finished the test.
    """
    if report.when == "teardown":
        _add_teardown_error(runner, report)
        if runner.plan.baseline:
            from pytest_repro.plugin.judge import baseline

            baseline.attach_entry(runner.item, report)
        attach_row(runner, report)
        return
    if not report.passed and not runner.body_started:
        runner.judge_without_body(report)
    _add_past_log_section(runner, call, report)
    _add_sweep_section(runner, call, report)
    if call.excinfo is not None and isinstance(call.excinfo.value, CompanionLost):
        _force_failure(report, str(call.excinfo.value))
    elif call.excinfo is not None and isinstance(call.excinfo.value, NotReproducibleFailure):
        runner.xfailed = hasattr(report, "wasxfail")
        report.longrepr = _make_failure_repr(runner.item, call.excinfo.value)
        report.sections += iter_side_effect_sections(runner)
    elif call.excinfo is not None and isinstance(call.excinfo.value, SeedDependent):
        error = call.excinfo.value
        report.longrepr = _make_item_repr(runner.item, str(error), error.headline)
        _mark_xfailed(report, error)
    elif call.excinfo is not None and isinstance(call.excinfo.value, RankFailed):
        _mark_xfailed(report, call.excinfo.value)
    elif (hidden := _find_hidden_failure(runner, call, report)) is not None:
        _force_failure(report, _make_item_repr(runner.item, str(hidden), hidden.headline))
    elif _has_failing_runs(runner) and report.failed:
        assert runner.verdict is not None
        report.sections.append(
            ("reproducibility", format_failure_note(runner.verdict, runner.extra_results.sweep is None))
        )
    elif _has_failing_runs(runner) and report.skipped and not hasattr(report, "wasxfail"):
        # A skip in the last run must not hide that another run did something else.
        assert runner.verdict is not None
        _force_failure(report, _make_failure_repr(runner.item, make_failure(runner.item, runner.verdict)))
    ours = call.excinfo is not None and isinstance(
        call.excinfo.value, (CompanionLost, NotReproducibleFailure)
    )
    differs = runner.verdict is not None and runner.verdict.outcome == "diverged"
    runner.failed_by_plugin |= report.failed and (ours or differs)


def iter_side_effect_sections(runner: ItemRunner) -> Iterator[tuple[str, str]]:
    """What may have had a part in a difference: runs that are not compared came before the last one."""
    if runner.seed_check is not None:
        yield "seed check", seed_check.format_interference_note(runner.seed_check)
    if why := asked_besides(runner.extra_results):
        yield "runs besides", why


def _add_past_log_section(runner: ItemRunner, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Hangs on a report where the test asked for what is not in its log, if its text does not say so."""
    said = call.excinfo is not None and isinstance(call.excinfo.value, NotReproducibleFailure)
    if runner.verdict is not None and not said and (told := "\n".join(runs.format_past_log(runner.verdict))):
        report.sections.append(("replay", told))


def _add_sweep_section(runner: ItemRunner, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Hangs on a report of a test that fails by itself how often it fails over seeds."""
    said = call.excinfo is not None and isinstance(call.excinfo.value, SeedDependent)
    if runner.extra_results.sweep is not None and report.failed and not said:
        from pytest_repro.reports.session.sweep import format_sweep

        report.sections.append(
            ("seeds", escape_surrogates("\n".join(format_sweep(runner.extra_results.sweep))))
        )


def _find_hidden_failure(
    runner: ItemRunner, call: pytest.CallInfo[None], report: pytest.TestReport
) -> SeedDependent | None:
    """What an expected failure of the test's own run, or its skip, would hide of its seeds."""
    set_aside = report.when == "call" and report.skipped
    if runner.extra_results.sweep is None or not set_aside or call.excinfo is None:
        return None
    from pytest_repro.plugin.judge.sweep_failure import find_hidden_sweep_failure

    called = not hasattr(report, "wasxfail") or isinstance(call.excinfo.value, pytest.xfail.Exception)
    return find_hidden_sweep_failure(runner, called)


def _mark_xfailed(report: pytest.TestReport, error: SeedDependent | RankFailed) -> None:
    """Has a failure expected that was expected where it happened: ``xfail(raises=ValueError)`` sees ours."""
    if report.failed and error.xfail_reason is not None:
        report.outcome, report.wasxfail = "skipped", error.xfail_reason


def _force_failure(report: pytest.TestReport, longrepr: Any) -> None:
    """Fails what was skipped or expected to fail: nobody expects this."""
    report.outcome, report.longrepr = "failed", longrepr
    vars(report).pop("wasxfail", None)


def _has_failing_runs(runner: ItemRunner) -> bool:
    verdict = runner.verdict
    if verdict is None or all(run.outcome == "passed" for run in verdict.runs if run.state == "ran"):
        return False
    return verdict.outcome in ("failed", "diverged")


def _make_failure_repr(item: pytest.Item, error: NotReproducibleFailure) -> Any:
    """The failure by its text alone, at the line of the test."""
    return _make_item_repr(item, str(error), f"NotReproducible: {format_headline(error.verdict)}")


def _make_item_repr(item: pytest.Item, text: str, message: str) -> Any:
    path, line, _ = item.reportinfo()
    return make_plain_repr(escape_surrogates(text), str(path), (line or 0) + 1, escape_surrogates(message))


def _add_teardown_error(runner: ItemRunner, report: pytest.TestReport) -> None:
    """A tear-down that failed in a rehearsal only must not be lost."""
    if report.passed and runner.teardown_error:
        report.outcome = "failed"
        report.longrepr = runner.teardown_error
