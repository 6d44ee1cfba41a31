"""What one run has shown that is told of many: its headline values, predictions and weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pytest_repro.core.runs.run import Outcome

SummaryOutcome = Outcome | Literal["xfailed"]
"""What a run did; ``"xfailed"``: its body called :func:`pytest.xfail`."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Of one run of a seed sweep, or of the noise matrix.

    Attributes:
        seed: Of the run.
        outcome: What the body did; the headlines and predictions of one that failed are those it
            had got to.
        error: ``"ValueError: …"`` of a failed run, else ``""``.
        seconds: That the body took.
        digest: Of everything observed.
        headlines: The last step of what is recorded as a real number, by name.
        predictions: The last step of what is recorded as an array of integers or bools, by name; of
            any shape.
        weights: The last step of what modules hold as floating arrays, running statistics left out;
            where no module was recorded, of every floating array. Empty where not asked for.
        steps: Which step of its series, from 0, each headline and each prediction is, by name.
        kinds: dtype and shape of what was recorded itself and is no headline, by name.
        xfail_reason: Why its failure was expected: the reason of a marker ``xfail`` that matches it.
        location: ``"test_net.py:47"`` where a failed run broke; ``""`` where that is not known.
    """

    seed: int
    outcome: SummaryOutcome
    error: str
    seconds: float
    digest: str
    headlines: Mapping[str, float]
    predictions: Mapping[str, Any]
    weights: Mapping[str, Any]
    steps: Mapping[str, int] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    xfail_reason: str | None = None
    location: str = ""
