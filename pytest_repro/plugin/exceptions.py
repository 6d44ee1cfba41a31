"""How a test fails that is not reproducible: by its text alone."""

from __future__ import annotations

import os
from typing import Any

import pytest

from pytest_repro.core.compare.verdict import NotReproducible, Verdict
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.plugin import SETTINGS
from pytest_repro.reports.failure.runs import without
from pytest_repro.reports.failure.text import failure, lost

_Failed: Any = pytest.fail.Exception


class Diverged(NotReproducible, _Failed):  # type: ignore[misc]
    """Fails the test by its text alone: none of the plugin's frames, nor of the test's."""

    def __init__(self, message: str, verdict: Verdict) -> None:
        NotReproducible.__init__(self, message, verdict)
        self.msg, self.pytrace = message, False

    def __str__(self) -> str:
        return str(self.msg)


# pytest's own outcomes drop their module likewise: "FAILED test_a.py::test_b - NotReproducible: …"
Diverged.__name__ = Diverged.__qualname__ = "NotReproducible"
Diverged.__module__ = "builtins"


class Untold(_Failed):  # type: ignore[misc]
    """Fails a test of whose further runs nothing could be told: no budget was judged."""


class CompanionLost(_Failed):  # type: ignore[misc]
    """Fails a test that another interpreter was to run, and gave no answer."""


CompanionLost.__name__ = CompanionLost.__qualname__ = "CompanionLost"
CompanionLost.__module__ = "builtins"


class SeedDependent(_Failed):  # type: ignore[misc]
    """Fails a test that passes with its own seed, and not with each of its sweep.

    Attributes:
        headline: In few words.
        expected: Why a marker ``xfail`` expected the error of each seed that failed, if it did.
    """

    def __init__(self, message: str, headline: str, expected: str | None = None) -> None:
        super().__init__(message, pytrace=False)
        self.headline, self.expected = f"SeedDependent: {headline}", expected


SeedDependent.__module__ = "builtins"


class RankFailed(_Failed):  # type: ignore[misc]
    """Fails a test as one of its ranks failed, by the traceback that was made there.

    Attributes:
        expected: Why that was expected there; None where it was not.
    """

    def __init__(self, message: str, expected: str | None) -> None:
        super().__init__(message, pytrace=False)
        self.expected = expected


RankFailed.__module__ = "builtins"


def untold(item: pytest.Item, broken: str) -> Untold:
    """What is raised where summing up further runs broke.

    Args:
        item: The test.
        broken: How, with its traceback.
    """
    why = "what its seeds, the noise matrix or the cost say together could not be told"
    return Untold(f"{called(item)}: {why}\n\n{broken}", pytrace=False)


def none_there(trial: Trial) -> None:
    """Ends a test before it begins, for an axis of which no value is to be had here.

    Raises:
        pytest.skip.Exception: That is so.
    """
    __tracebackhide__ = True
    if trial.nothing:
        pytest.skip(f"nothing was run: {without(trial.verdict())}")


def not_compared(item: pytest.Item, verdict: Verdict) -> None:
    """Ends a test that passed, and of which not every run that was asked has been made.

    Raises:
        CompanionLost: A companion gave no answer: that is no silent pass.
        pytest.skip.Exception: No value of any axis was to be had here but the reference's.
    """
    __tracebackhide__ = True
    if told := lost(called(item), verdict):
        raise CompanionLost(told, pytrace=False)
    if verdict.word == "skipped":
        pytest.skip(f"nothing was compared: {without(verdict)}")


def diverged(item: pytest.Item, verdict: Verdict) -> Diverged:
    """The failure of *item*."""
    return Diverged(failure(called(item), verdict, item.config.stash[SETTINGS].replay), verdict)


def called(item: pytest.Item) -> str:
    """The node id of *item* as it is called from where pytest was started."""
    file, *inside = item.nodeid.split("::")
    started = item.config.invocation_params.dir
    if item.config.rootpath != started:
        file = os.path.relpath(item.config.rootpath / file, started)
    return "::".join([file, *inside])
