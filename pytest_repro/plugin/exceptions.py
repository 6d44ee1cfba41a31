"""Failures of tests, shown by their text alone."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

from pytest_repro.core.compare.verdict import NotReproducible, Verdict
from pytest_repro.core.text import quote_word
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.plugin.replay_line import format_nodeid, format_options
from pytest_repro.plugin.stash import LAUNCHED, SETTINGS

_FailException: Any = pytest.fail.Exception


class NotReproducibleFailure(NotReproducible, _FailException):  # type: ignore[misc]
    """Fails a test by its text alone, without any frames."""

    def __init__(self, message: str, verdict: Verdict) -> None:
        NotReproducible.__init__(self, message, verdict)
        self.msg, self.pytrace = message, False


# pytest's own outcomes drop their module likewise: "FAILED test_a.py::test_b - NotReproducible: …"
NotReproducibleFailure.__name__ = NotReproducibleFailure.__qualname__ = "NotReproducible"
NotReproducibleFailure.__module__ = "builtins"


class ExtraRunsFailed(_FailException):  # type: ignore[misc]
    """Fails a test whose extra runs could not be summarized, so that no budget was judged."""


class CompanionLost(_FailException):  # type: ignore[misc]
    """Fails a test whose other interpreter gave no answer."""


CompanionLost.__name__ = CompanionLost.__qualname__ = "CompanionLost"
CompanionLost.__module__ = "builtins"


class SeedDependent(_FailException):  # type: ignore[misc]
    """Fails a test that passes with its own seed, but not with each seed of its sweep.

    Attributes:
        headline: The failure in a few words.
        xfail_reason: Why a marker ``xfail`` expected the error of each failing seed, if it did.
    """

    def __init__(self, message: str, headline: str, xfail_reason: str | None = None) -> None:
        super().__init__(message, pytrace=False)
        self.headline, self.xfail_reason = f"SeedDependent: {headline}", xfail_reason


SeedDependent.__module__ = "builtins"


class UnseededDraws(SeedDependent):
    """Fails a test that passes, but draws from global generators that nothing in it has seeded."""

    def __init__(self, message: str, headline: str) -> None:
        super().__init__(message, headline)
        self.headline = f"UnseededDraws: {headline}"


UnseededDraws.__module__ = "builtins"


class RankFailed(_FailException):  # type: ignore[misc]
    """Fails a test because a rank failed, with the traceback of that rank.

    Attributes:
        xfail_reason: Why that failure was expected; None if it was not.
    """

    def __init__(self, message: str, xfail_reason: str | None) -> None:
        super().__init__(message, pytrace=False)
        self.xfail_reason = xfail_reason


RankFailed.__module__ = "builtins"


def make_extra_runs_failure(item: pytest.Item, error: str) -> ExtraRunsFailed:
    """The failure of *item* whose extra runs could not be summarized; *error* is the traceback."""
    why = "its extra runs could not be summarized"
    return ExtraRunsFailed(f"{format_nodeid(item)}: {why}\n\n{error}", pytrace=False)


def skip_without_value(trial: Trial) -> NoReturn:
    """Skips a test before it begins: an axis has no available value.

    Raises:
        pytest.skip.Exception: Always.
    """
    __tracebackhide__ = True
    from pytest_repro.reports.failure.runs import describe_unavailable

    reason = f"nothing was run: {describe_unavailable(trial.compute_verdict())}"
    raise pytest.skip.Exception(reason, _use_item_location=True)


def raise_if_not_compared(item: pytest.Item, verdict: Verdict) -> None:
    """Ends a passing test of which not every requested run was made.

    Raises:
        CompanionLost: A companion gave no answer.
        pytest.skip.Exception: Only the reference values of the axes are available.
    """
    __tracebackhide__ = True
    if any(run.state == "lost" for run in verdict.runs):
        from pytest_repro.reports.failure.text import format_lost_runs

        raise CompanionLost(format_lost_runs(format_nodeid(item), verdict), pytrace=False)
    if verdict.outcome == "skipped":
        from pytest_repro.reports.failure.runs import describe_unavailable

        raise pytest.skip.Exception(
            f"nothing was compared: {describe_unavailable(verdict)}", _use_item_location=True
        )


def make_failure(item: pytest.Item, verdict: Verdict) -> NotReproducibleFailure:
    """The failure of *item*."""
    from pytest_repro.reports.failure.text import format_failure

    settings = item.config.stash[SETTINGS]
    log = f" --repro-replay={quote_word(settings.replay)}" if settings.replay is not None else ""
    options = f"{format_options(item)}{log}"
    if (
        verdict.baseline is not None
        and verdict.baseline.sweep
        and (seeds := settings.command_line.get("seeds"))
    ):
        from pytest_repro.reports.sweep import format_seeds_option

        options = f" {format_seeds_option(seeds)}{options}"
    launched = item.config.stash.get(LAUNCHED, None)
    program = "pytest" if launched is None else f"torchrun --nproc-per-node={launched[1]} -m pytest"
    text = format_failure(format_nodeid(item), verdict, options, settings.docs_url, program)
    return NotReproducibleFailure(text, verdict)
