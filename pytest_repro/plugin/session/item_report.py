"""Updates pytest's reports of a test: why it fails, as text and sections."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_repro.core.compare.verdict import NotReproducible
from pytest_repro.core.text import escape_surrogates
from pytest_repro.engine.runs.run_source import format_error_line
from pytest_repro.plugin.exceptions import (
    CompanionLost,
    NotReproducibleFailure,
    RankFailed,
    SeedDependent,
    make_failure,
)
from pytest_repro.plugin.extra_runs import list_extra_runs
from pytest_repro.plugin.pytest_internals import make_plain_repr
from pytest_repro.plugin.run.item_runner import ItemRunner
from pytest_repro.plugin.session.rows import attach_row
from pytest_repro.reports.failure import runs
from pytest_repro.reports.failure.text import format_failure_note, format_headline

if TYPE_CHECKING:
    from pytest_repro.engine.sweep.sweep import SweepResult


class ItemReporter:
    """Updates the reports of a test's last run with what follows from all its runs.

    Args:
        runner: Of the test.
    """

    def __init__(self, runner: ItemRunner) -> None:
        self._runner, self._item = runner, runner.item
        self._is_xfailed = self._has_failed = False
        self._failure = self._headline = ""

    def update(self, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Updates *report*.

        The row of the JSON report travels with the tear-down's report: through pytest-xdist, and past
        the crash of a worker that had finished the test.
        """
        runner, error = self._runner, call.excinfo.value if call.excinfo is not None else None
        if report.when == "teardown":
            self._update_teardown(error, report)
            return
        if not report.passed and not runner.current.body_started:
            runner.judge_without_body(report)
        if report.when == "call" and runner.verdict is not None:  # the test itself was quicker
            report.duration = max(0.0, report.duration - runner.verdict.diagnosis_seconds)
        self._add_sections(error, report)
        if report.passed and error is None:
            return
        self._update_outcome(error, report)
        is_ours = isinstance(error, (CompanionLost, NotReproducibleFailure))
        differs = runner.verdict is not None and runner.verdict.outcome == "diverged"
        self._has_failed |= report.failed and (is_ours or differs)
        self._note_failure(error, report)
        self._is_xfailed |= report.skipped and hasattr(report, "wasxfail")

    def replace_failure(self, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Replaces the failure in *call* and *report* by one with the cause."""
        assert self._runner.verdict is not None
        failure = make_failure(self._item, self._runner.verdict)
        if call.excinfo is not None:
            failure = failure.with_traceback(call.excinfo.tb)
        self._runner.replace_verdict(self._runner.verdict, failure)
        call.excinfo = pytest.ExceptionInfo.from_exception(failure)
        report.longrepr = self._make_failure_repr(failure)

    def _update_teardown(self, error: BaseException | None, report: pytest.TestReport) -> None:
        runner, verdict = self._runner, self._runner.verdict
        passed = verdict is not None and verdict.outcome in ("reproduced", "unobserved", None)
        if isinstance(error, NotReproducible) and verdict is not None and passed:
            first, *others = verdict.runs
            first, asserted = replace(first, error=format_error_line(error)), error.verdict
            verdict = replace(asserted, plan=runner.plan, runs=(first, *others), mismatches=())
            runner.replace_verdict(verdict)
            self._has_failed, self._headline = True, ""
        if report.passed and runner.teardown_error:  # of a rehearsal only
            report.outcome, report.longrepr = "failed", runner.teardown_error
        if runner.trial.plan.baseline:
            from pytest_repro.plugin.judge import baseline

            baseline.attach_entry(self._item, report)
        self._note_failure(error, report)
        attach_row(runner, report, self._is_xfailed, self._has_failed, self._failure, self._headline)

    def _note_failure(self, error: BaseException | None, report: pytest.TestReport) -> None:
        """Keeps the first line of the first failure."""
        if report.failed and not self._failure:
            told = getattr(error, "headline", "") or (format_error_line(error) if error is not None else "")
            self._failure = told.partition("\n")[0] or "failed in another run"

    def _update_outcome(self, error: BaseException | None, report: pytest.TestReport) -> None:
        verdict, sweep = self._runner.verdict, self._find_sweep()
        if isinstance(error, CompanionLost):
            _force_failure(report, str(error))
        elif isinstance(error, NotReproducibleFailure):
            report.longrepr = self._make_failure_repr(error)
            report.sections += self._make_interference_sections()
        elif isinstance(error, SeedDependent):
            report.longrepr = self._make_repr(str(error), error.headline)
            _mark_xfailed(report, error)
        elif isinstance(error, RankFailed):
            _mark_xfailed(report, error)
        elif (hidden := self._find_hidden_failure(error, report)) is not None:
            _force_failure(report, self._make_repr(str(hidden), hidden.headline))
        elif verdict is not None and _has_failing_runs(self._runner):
            if report.failed:
                report.sections.append(("reproducibility", format_failure_note(verdict, sweep is None)))
            elif report.skipped and not hasattr(report, "wasxfail"):
                # A skip in the last run must not hide that another run did something else.
                _force_failure(report, self._make_failure_repr(make_failure(self._item, verdict)))

    def _make_interference_sections(self) -> list[tuple[str, str]]:
        verdict, results = self._runner.verdict, self._runner.extra_results.by_kind
        if verdict is None or verdict.outcome != "diverged" or (verdict.baseline and verdict.baseline.sweep):
            return []
        return [
            kind.format_interference(results[kind.name]) for kind in list_extra_runs() if kind.name in results
        ]

    def _add_sections(self, error: BaseException | None, report: pytest.TestReport) -> None:
        verdict, sweep = self._runner.verdict, self._find_sweep()
        is_said = isinstance(error, NotReproducibleFailure)
        if verdict is not None and not is_said and (text := "\n".join(runs.format_past_log(verdict))):
            report.sections.append(("replay", text))
        if sweep is not None and report.failed and not isinstance(error, SeedDependent):
            from pytest_repro.reports.sweep import format_sweep

            report.sections.append(("seeds", escape_surrogates("\n".join(format_sweep(sweep)))))

    def _find_sweep(self) -> SweepResult | None:
        results = self._runner.extra_results
        return results.sweep if results.by_kind else None

    def _find_hidden_failure(
        self, error: BaseException | None, report: pytest.TestReport
    ) -> SeedDependent | None:
        """The failure of seeds that an expected failure, or a skip, of the test's own seed would hide."""
        is_set_aside = report.when == "call" and report.skipped
        if not is_set_aside or error is None or self._find_sweep() is None:
            return None
        from pytest_repro.plugin.extra_runs.sweep import find_hidden_sweep_failure

        raised_in_body = not hasattr(report, "wasxfail") or isinstance(error, pytest.xfail.Exception)
        return find_hidden_sweep_failure(self._runner, raised_in_body)

    def _make_failure_repr(self, error: NotReproducibleFailure) -> Any:
        self._headline = format_headline(error.verdict)
        return self._make_repr(str(error), f"NotReproducible: {self._headline}")

    def _make_repr(self, text: str, message: str) -> Any:
        """A failure shown by *text* alone, at the line of the test."""
        path, line, _ = self._item.reportinfo()
        return make_plain_repr(
            escape_surrogates(text), str(path), (line or 0) + 1, escape_surrogates(message)
        )


def _mark_xfailed(report: pytest.TestReport, error: SeedDependent | RankFailed) -> None:
    """Marks a failure as expected that was expected where it happened: ``xfail(raises=…)`` sees ours."""
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
