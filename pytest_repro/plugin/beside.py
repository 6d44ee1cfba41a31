"""What runs of a test have shown that are not among those compared: what they cost, how they scatter."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pytest_repro.engine.recording import Recording

if TYPE_CHECKING:
    from pytest_repro.core.timed import Timed
    from pytest_repro.engine.noise import Noise
    from pytest_repro.engine.sweep import Swept

NOTES = ("cost_note", "sweep_note", "noise_note")
"""Keys of a row that are for the terminal alone."""


class Beside:
    """Of one test.

    Args:
        recording: Makes an empty recording for a run that is not compared.

    Attributes:
        recording: The same; replaced while such runs are to be recorded in another way.
        timed: What the test takes with determinism controls and without, where that was asked.
        budgets: What the test allows its headline values over seeds, by name.
        swept: The test over seeds, where that was asked.
        noise: What each variant of the noise matrix has shown, where that was asked.
    """

    def __init__(self, recording: Callable[[], Recording]) -> None:
        self.recording = recording
        self.timed: Timed | None = None
        self.budgets: dict[str, dict[str, float]] = {}
        self.swept: Swept | None = None
        self.noise: dict[str, Noise] = {}


def told(beside: Beside) -> dict[str, Any]:
    """What a row of the report says of it."""
    row: dict[str, Any] = {}
    if beside.timed is not None:
        from pytest_repro.reports.cost import row_of

        row |= row_of(beside.timed)
    if beside.swept is not None:
        from pytest_repro.reports import sweep

        row |= sweep.row_of(beside.swept)
    if beside.noise:
        from pytest_repro.reports import noise

        row |= noise.row_of(beside.noise)
    return row
