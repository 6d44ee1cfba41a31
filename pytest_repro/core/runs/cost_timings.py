"""How long a test takes with determinism controls on and off."""

from __future__ import annotations

from typing import NamedTuple


class Timed(NamedTuple):
    """How long the body of a test took, run by run.

    Attributes:
        on: Seconds with determinism controls on.
        off: Seconds with them off; the runs of both were made in turn.
        broken: Why there are not as many as were asked: a run that did not pass; ``""``.
    """

    on: tuple[float, ...]
    off: tuple[float, ...]
    broken: str = ""
