"""What is known of a mismatch before anything is suspended."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_repro.core.diagnose.external_call import ExternalCall
from pytest_repro.core.diagnose.finding import Change
from pytest_repro.core.trace.divergence import Divergence


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known before anything is suspended.

    Attributes:
        calls: Calls of the outside world that were heard.
        divergence: The first op that parted.
        changes: What the first run left behind for the second.
        differing: How many runs differed from the first.
        runs: Of how many, the first not counted.
    """

    calls: tuple[ExternalCall, ...] = ()
    divergence: Divergence | None = None
    changes: tuple[Change, ...] = ()
    differing: int = 0
    runs: int = 0

    def calls_for(self, cause: str) -> tuple[ExternalCall, ...]:
        """The calls that are evidence for the cause *cause*."""
        return tuple(call for call in self.calls if call.cause == cause)

    @property
    def frequency(self) -> str:
        """How often runs differed, in words."""
        return f"{self.differing} of {self.runs} runs differed from the first"
