"""The outcome of a run, from what its body raised or from pytest's reports."""

from __future__ import annotations

import os
import re
import traceback
import unittest
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

import pytest

from pytest_repro.core.runs.run import SUBTEST_ERROR, Outcome, Run, SummaryOutcome
from pytest_repro.interpose.code_owner import classify_code
from pytest_repro.plugin.pytest_internals import format_longrepr

_XFAIL_TYPE = f"{pytest.xfail.Exception.__module__}.{pytest.xfail.Exception.__qualname__}"
EXIT_EXCEPTIONS = (KeyboardInterrupt, pytest.exit.Exception)
"""Exceptions that end the session, not just a run."""

_SKIP_EXCEPTIONS = (pytest.skip.Exception, unittest.SkipTest)


def format_reason(report: pytest.TestReport) -> str:
    """Why a set-up failed or was skipped, in one line."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return f"in {report.when}: {_format_crash(report)}"


def _format_crash(report: pytest.TestReport) -> str:
    """The error in one line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(getattr(crash, "message", "") or report.longreprtext).strip()
    match = re.search(r"^E +(\S.*)$", text, re.MULTILINE)  # for a fixture that does not exist
    return match[1] if match else text.splitlines()[0] if text else "no reason given"


def apply_phase_outcome(run: Run, reports: Sequence[pytest.TestReport]) -> Run:
    """*run*, whose body did not end, with the outcome of pytest's *reports* of its phases."""
    broken = next((report for report in reports if not report.passed), None)
    if broken is None:
        return replace(run, outcome="passed")
    outcome: Outcome = "skipped" if broken.skipped else "failed"
    return replace(
        run, outcome=outcome, error=format_reason(broken), error_type=broken.when or "",
        traceback="" if broken.skipped else broken.longreprtext,
    )  # fmt: skip


def describe_failed_subtest(report: pytest.TestReport) -> tuple[str, str]:
    """One line, and the traceback, of a subtest that failed."""
    named: Any = getattr(report, "_sub_test_description", None) or getattr(
        report, "sub_test_description", str
    )
    return f"subtest {named()}: {_format_crash(report)}", format_longrepr(report.longrepr)


def apply_failed_subtest(run: Run, error: str, text: str) -> Run:
    """*run*, whose body passed, failed by the *error* of a subtest with traceback *text*."""
    return replace(run, outcome="failed", error=error, error_type=SUBTEST_ERROR, traceback=text)


def locate_failure(run: Run) -> str:
    """Where *run* failed, as pytest shows it: ``"test_net.py:47"``; the caller's line for a library."""
    places = re.findall(r"^(\S[^\n]*?)(:\d+): ", run.traceback, re.MULTILINE)
    own = [path + line for path, line in places if classify_code(os.path.abspath(path), "") == "user"]
    return own[-1] if own and run.outcome == "failed" else ""


def is_skipped_by_mark(run: Run) -> bool:
    """Whether *run* was skipped before its body, and so is with every seed."""
    return run.error_type == "setup"


def is_plugin_error(error: BaseException | None) -> bool:
    """Whether this package raised *error*, so that no seed is to blame."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)] if error is not None else []
    return bool(frames) and is_own_file(frames[-1].f_code.co_filename)


def apply_teardown_outcome(run: Run, reports: Sequence[pytest.TestReport]) -> Run:
    """*run*, failed if its tear-down failed."""
    broken = [each for each in reports if each.when == "teardown" and each.failed]
    if run.outcome != "passed" or not broken:
        return run
    report = broken[0]
    return replace(
        run,
        outcome="failed",
        error=format_reason(report),
        error_type="teardown",
        traceback=report.longreprtext,
    )


def format_teardown_failure(reports: Sequence[pytest.TestReport], number: int) -> str:
    """How the tear-down of rehearsal *number* failed; ``""`` if it did not."""
    end = reports[-1] if reports else None
    if end is None or end.when != "teardown" or not end.failed:
        return ""
    reason = f"tear-down failed in run {number}, not in the last one: {format_reason(end)}"
    return f"{reason}\n{format_longrepr(end.longrepr)}"


def classify_run(run: Run) -> SummaryOutcome:
    """The outcome of *run*; ``xfailed`` if the body called :func:`pytest.xfail`."""
    return "xfailed" if run.outcome == "failed" and run.error_type == _XFAIL_TYPE else run.outcome


def find_xfail_reason(reports: Sequence[pytest.TestReport]) -> str | None:
    """Why pytest expected the run of *reports* to fail; None if it did not."""
    found = (vars(each).get("wasxfail") for each in reports if each.skipped)
    return next((str(each) for each in found if each is not None), None)


def format_first_cause(error: BaseException) -> str:
    """The first cause of *error*, and its line."""
    while error.__cause__ is not None:
        error = error.__cause__
    frames = traceback.extract_tb(error.__traceback__)
    at = next((frame for frame in reversed(frames) if not frame.filename.startswith("<frozen")), None)
    where = f", at {at.filename}:{at.lineno}" if at is not None else ""
    return f"{type(error).__name__}: {error}{where}"


def find_missing_module(text: str) -> str:
    """The module that a file fails to import, and the line; ``""`` for another failure.

    Args:
        text: The failure as pytest prints it.
    """
    lacks = re.findall(r"^E +(ModuleNotFoundError: .*)$", text, re.MULTILINE)
    lines = re.findall(r"^(\S.*:\d+): in ", text, re.MULTILINE)
    return f"{lacks[-1]}, at {lines[-1]}" if lacks and lines else ""


def classify_error(error: BaseException | None) -> Outcome:
    """The outcome of a body that raised *error*."""
    if error is None:
        return "passed"
    return "skipped" if isinstance(error, _SKIP_EXCEPTIONS) else "failed"


def get_unittest_error(item: Any) -> BaseException | None:
    """What a unittest method raised: pytest keeps it on the item and does not raise it."""
    found = item.__dict__.get("_excinfo")
    return found[0].value if found else None


def format_traceback(item: pytest.Item, error: BaseException | None) -> str:
    """The failure as pytest prints it."""
    assert error is not None
    error = error.with_traceback(strip_own_frames(error.__traceback__))
    return format_longrepr(item.repr_failure(pytest.ExceptionInfo.from_exception(error)))


_PACKAGE_FOLDER = os.path.dirname(os.path.dirname(os.path.dirname(__file__))) + os.sep


def strip_own_frames(tb: TracebackType | None) -> TracebackType | None:
    """*tb* without the frames of this package."""
    tb = _skip_own_frames(tb)
    at = tb
    while at is not None:
        at.tb_next = _skip_own_frames(at.tb_next)
        at = at.tb_next
    return tb


def _skip_own_frames(tb: TracebackType | None) -> TracebackType | None:
    while tb is not None and is_own_file(tb.tb_frame.f_code.co_filename):
        tb = tb.tb_next
    return tb


def is_own_file(file: str) -> bool:
    """Whether *file* belongs to this package."""
    return file.startswith(_PACKAGE_FOLDER)
