"""What is known about a test that is not reproducible before any suspect is suspended."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_repro.core.diagnose.external_call import ExternalCall
from pytest_repro.core.diagnose.finding import Change
from pytest_repro.core.trace.divergence import Divergence


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known before any suspect is suspended.

    Attributes:
        calls: Logged calls to the world outside the test.
        divergence: The first op that differs.
        changes: What the first run left behind for the second.
        differing: Number of runs that differed from the first.
        runs: Number of runs, without the first.
    """

    calls: tuple[ExternalCall, ...] = ()
    divergence: Divergence | None = None
    changes: tuple[Change, ...] = ()
    differing: int = 0
    runs: int = 0

    def calls_for(self, cause: str) -> tuple[ExternalCall, ...]:
        """The calls that are evidence for *cause*."""
        return tuple(call for call in self.calls if call.cause == cause)

    @property
    def frequency(self) -> str:
        """How often runs differed, in words."""
        return f"{self.differing} of {self.runs} runs differed from the first"
