"""What the reports of a test tell: why it fails, in sections and in text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pytest_repro.core.text import encodable
from pytest_repro.plugin.exceptions import CompanionLost, Diverged, RankFailed, SeedDependent, diverged
from pytest_repro.plugin.extra_runs.results import before_the_last as asked_besides
from pytest_repro.plugin.pytest_internals import plain_repr
from pytest_repro.plugin.run.item_runner import Act
from pytest_repro.plugin.session.rows import send
from pytest_repro.reports.failure import runs
from pytest_repro.reports.failure.text import beside, headline
from pytest_repro.reports.session import seed_check


def explain(act: Act, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Hangs on a report of the last run what follows from all of them.

    The row of the JSON report travels with the tear-down's report: through xdist, and past the
    crash of a worker that had finished the test.
    """
    if report.when == "teardown":
        _add_teardown_error(act, report)
        if act.plan.baseline:
            from pytest_repro.plugin.judge import baseline

            baseline.send(act.item, report)
        send(act, report)
        return
    if not report.passed and not act.ran:
        act.never_ran(report)
    _tell_beyond(act, call, report)
    _tell_seeds(act, call, report)
    if call.excinfo is not None and isinstance(call.excinfo.value, CompanionLost):
        _fail(report, str(call.excinfo.value))
    elif call.excinfo is not None and isinstance(call.excinfo.value, Diverged):
        act.expected = hasattr(report, "wasxfail")
        report.longrepr = _repr(act.item, call.excinfo.value)
        report.sections += before_the_last(act)
    elif call.excinfo is not None and isinstance(call.excinfo.value, SeedDependent):
        error = call.excinfo.value
        report.longrepr = _plain(act.item, str(error), error.headline)
        _expect(report, error)
    elif call.excinfo is not None and isinstance(call.excinfo.value, RankFailed):
        _expect(report, call.excinfo.value)
    elif (hidden := _hidden(act, call, report)) is not None:
        _fail(report, _plain(act.item, str(hidden), hidden.headline))
    elif _differs(act) and report.failed:
        assert act.verdict is not None
        report.sections.append(("reproducibility", beside(act.verdict, act.beside.swept is None)))
    elif _differs(act) and report.skipped and not hasattr(report, "wasxfail"):
        # A skip in the last run must not hide that another run did something else.
        assert act.verdict is not None
        _fail(report, _repr(act.item, diverged(act.item, act.verdict)))
    ours = call.excinfo is not None and isinstance(call.excinfo.value, (CompanionLost, Diverged))
    differs = act.verdict is not None and act.verdict.word == "diverged"
    act.failed |= report.failed and (ours or differs)


def before_the_last(act: Act) -> Iterator[tuple[str, str]]:
    """What may have had a part in a difference: runs that are not compared came before the last one."""
    if act.control is not None:
        yield "control", seed_check.before_the_last(act.control)
    if why := asked_besides(act.beside):
        yield "runs besides", why


def _tell_beyond(act: Act, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Hangs on a report where the test asked for what is not in its log, if its text does not say so."""
    said = call.excinfo is not None and isinstance(call.excinfo.value, Diverged)
    if act.verdict is not None and not said and (told := "\n".join(runs.beyond(act.verdict))):
        report.sections.append(("replay", told))


def _tell_seeds(act: Act, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Hangs on a report of a test that fails by itself how often it fails over seeds."""
    said = call.excinfo is not None and isinstance(call.excinfo.value, SeedDependent)
    if act.beside.swept is not None and report.failed and not said:
        from pytest_repro.reports.session.sweep import told

        report.sections.append(("seeds", encodable("\n".join(told(act.beside.swept)))))


def _hidden(act: Act, call: pytest.CallInfo[None], report: pytest.TestReport) -> SeedDependent | None:
    """What an expected failure of the test's own run, or its skip, would hide of its seeds."""
    set_aside = report.when == "call" and report.skipped
    if act.beside.swept is None or not set_aside or call.excinfo is None:
        return None
    from pytest_repro.plugin.judge.sweep_failure import hidden

    called = not hasattr(report, "wasxfail") or isinstance(call.excinfo.value, pytest.xfail.Exception)
    return hidden(act, called)


def _expect(report: pytest.TestReport, error: SeedDependent | RankFailed) -> None:
    """Has a failure expected that was expected where it happened: ``xfail(raises=ValueError)`` sees ours."""
    if report.failed and error.expected is not None:
        report.outcome, report.wasxfail = "skipped", error.expected


def _fail(report: pytest.TestReport, told: Any) -> None:
    """Fails what was skipped or expected to fail: nobody expects this."""
    report.outcome, report.longrepr = "failed", told
    vars(report).pop("wasxfail", None)


def _differs(act: Act) -> bool:
    verdict = act.verdict
    if verdict is None or all(run.outcome == "passed" for run in verdict.runs if run.state == "ran"):
        return False
    return verdict.word in ("failed", "diverged")


def _repr(item: pytest.Item, error: Diverged) -> Any:
    """The failure by its text alone, at the line of the test."""
    return _plain(item, str(error), f"NotReproducible: {headline(error.verdict)}")


def _plain(item: pytest.Item, text: str, message: str) -> Any:
    path, line, _ = item.reportinfo()
    return plain_repr(encodable(text), str(path), (line or 0) + 1, encodable(message))


def _add_teardown_error(act: Act, report: pytest.TestReport) -> None:
    """A tear-down that failed in a rehearsal only must not be lost."""
    if report.passed and act.teardown_error:
        report.outcome = "failed"
        report.longrepr = act.teardown_error
