"""How a run ended: what its body raised, or what pytest made of a phase before it."""

from __future__ import annotations

import unittest
from typing import Any

import pytest

from pytest_repro.core.run import Outcome
from pytest_repro.plugin.frames import without_own_frames
from pytest_repro.plugin.inside import told

_SKIPS = (pytest.skip.Exception, unittest.SkipTest)


def reason_of(report: pytest.TestReport) -> str:
    """Why a set-up failed or was skipped, in one line."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = str(getattr(crash, "message", "") or report.longreprtext).strip().splitlines()
    return f"in {report.when}: {lines[0] if lines else 'no reason given'}"


def outcome_of(error: BaseException | None) -> Outcome:
    """What a body did that raised *error*."""
    if error is None:
        return "passed"
    return "skipped" if isinstance(error, _SKIPS) else "failed"


def unittest_error(item: Any) -> BaseException | None:
    """What a unittest method raised: pytest finds it on the item, it never comes through."""
    found = item.__dict__.get("_excinfo")
    return found[0].value if found else None


def traceback_of(item: pytest.Item, error: BaseException | None) -> str:
    """The failure as pytest would print it."""
    assert error is not None
    error = error.with_traceback(without_own_frames(error.__traceback__))
    return told(item.repr_failure(pytest.ExceptionInfo.from_exception(error)))
