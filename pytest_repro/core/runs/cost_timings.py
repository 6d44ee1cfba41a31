"""How long a test takes with determinism controls on and off."""

from __future__ import annotations

from typing import NamedTuple


class CostTimings(NamedTuple):
    """How long the body of a test took, run by run.

    Attributes:
        deterministic: Seconds with determinism controls on.
        default: Seconds with them off; the runs of both were made in turn.
        error: Why there are not as many as were asked: a run that did not pass; ``""``.
    """

    deterministic: tuple[float, ...]
    default: tuple[float, ...]
    error: str = ""
