from __future__ import annotations

import pytest

from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import judge_runs
from pytest_repro.core.runs.run import Outcome, Run


def run(number: int = 0, outcome: Outcome = "passed", observations: int = 1) -> Run:
    return Run("repeat", number, outcome, observation_count=observations)


VALUES = Mismatch("x", "x", 0, "", "repeat", 1, "values")


@pytest.mark.parametrize(
    ("runs", "found", "word"),
    [
        ([run(), run(1)], [], "reproduced"),
        ([run(), run(1)], [VALUES], "diverged"),
        ([run(observations=0), run(1, observations=0)], [], "unobserved"),
        ([run(outcome="failed"), run(1, "failed")], [], "failed"),
        ([run(outcome="failed"), run(1, "failed")], [VALUES], "failed"),
        ([run(outcome="skipped"), run(1, "skipped")], [], "skipped"),
        ([run()], [], None),
        ([run(outcome="failed")], [], "failed"),
    ],
)
def test_verdicts(runs: list[Run], found: list[Mismatch], word: str | None) -> None:
    assert word == judge_runs(runs, found)
