"""Runs beside those that are compared: of a seed sweep, of the noise matrix, with another seed, for cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from pytest_repro.core.runs.run import Outcome, Run

SummaryOutcome = Outcome | Literal["xfailed"]
"""What a run did; ``"xfailed"``: its body called :func:`pytest.xfail`."""

SeedCheckOutcome = Literal["changed", "unchanged"]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What one run of a seed sweep, or of the noise matrix, showed.

    Attributes:
        seed: The seed of the run.
        outcome: What the body did; a failed run has the headlines and predictions recorded before it failed.
        error: ``"ValueError: …"`` of a failed run, else ``""``.
        seconds: Wall time of the body.
        digest: Digest of everything observed.
        headlines: Last step of each value recorded as a real number, by name.
        predictions: Last step of each value recorded as an array of integers or bools, of any shape, by name.
        weights: Last step of the floating-point arrays in recorded modules, without running statistics; of
            every floating-point array if no module was recorded. Empty if not requested.
        steps: Step in its series, from 0, of each headline and prediction, by name.
        kinds: dtype and shape of directly recorded values that are no headline, by name.
        xfail_reason: Reason of the ``xfail`` marker that matches the failure.
        location: ``"test_net.py:47"`` where a failed run broke; ``""`` if unknown.
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


class SeedCheck(NamedTuple):
    """A run with another seed, compared with the reference run.

    Attributes:
        seed: The other seed.
        outcome: Whether the outcome, or any bit of what was observed, changed.
        drew_random: Whether this run or an earlier one drew from a seeded generator.
        has_observations: Whether anything but the outcome could be compared.
        reference: The reference run.
        run: The run with the other seed.
    """

    seed: int
    outcome: SeedCheckOutcome
    drew_random: bool
    has_observations: bool
    reference: Run
    run: Run


class CostTimings(NamedTuple):
    """How long the body of a test took, run by run.

    Attributes:
        deterministic: Seconds with determinism controls on.
        default: Seconds with them off; both kinds of runs alternate.
        error: Why there are fewer runs than requested: one did not pass; ``""`` if there are all.
    """

    deterministic: tuple[float, ...]
    default: tuple[float, ...]
    error: str = ""
