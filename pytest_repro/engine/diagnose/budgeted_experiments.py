"""What is inquired into: a test, or a function, that can be tried again under an experiment."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from pytest_repro.axes import Interpreter
from pytest_repro.core.diagnose.experiment import Experiment, Tried

T = TypeVar("T")

Tell = Callable[[str], None]
"""Shows what is being done, where somebody is looking."""


LIKE_THIS = Interpreter(environ={"PYTHONHASHSEED": "1"}, called="hash seed 1, interpreter 1")
"""Where an experiment is made that needs no other interpreter than one like this."""


_FLOOR, _PATIENCE = 20.0, 20.0
"""Seconds that any experiment may take, and how many times as long as its runs took by themselves: one
that hangs must leave time for others. The first of all may import torch._dynamo, 2.5 s without load."""


class Untried(Exception):
    """An experiment could not be made; the message says why."""


class Spent(Untried):
    """There is no time left for another experiment."""


class Subject(Protocol):
    """A test or a function.

    Attributes:
        fresh: Whether each experiment begins in a process that has not computed yet.
    """

    fresh: bool

    def prepare(self, interpreters: Sequence[Interpreter], seconds: float) -> None:
        """Starts *interpreters* that will be needed, beside each other, and does not wait.

        Args:
            interpreters: Which.
            seconds: How long each may take to start.
        """

    def tried(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, left: float
    ) -> Tried:
        """Makes the runs of *experiment*.

        Args:
            experiment: What is tried.
            interpreter: Where; None: in one like this process.
            seconds: How long it may take.
            left: How long it may take together with the start of what makes it.

        Raises:
            Untried: It could not be made there.
        """


class Bench:
    """Makes the experiments of one inquiry, as long as there is time, and keeps count.

    Args:
        subject: What is tried.
        seconds: The time for all of them.
        run_seconds: How long one run takes, as far as is known.
        tell: Shows what is being done.
    """

    def __init__(self, subject: Subject, seconds: float, run_seconds: float, tell: Tell) -> None:
        self.fresh = subject.fresh
        self._subject, self._tell, self.seconds = subject, tell, seconds
        self._end, self._run = time.monotonic() + seconds, run_seconds
        self.runs = 0

    def prepare(self, interpreters: Sequence[Interpreter]) -> None:
        """Has *interpreters* started that will be needed."""
        self._tell(f"starting {len(interpreters)} interpreters")
        self._within(lambda: self._subject.prepare(interpreters, self._left()))

    def try_(self, experiment: Experiment, doing: str, interpreter: Interpreter | None = None) -> Tried:
        """Makes *experiment*.

        Args:
            experiment: What is tried.
            doing: What it is for, to be shown: ``"clock frozen"``.
            interpreter: Where, if not in one like this process.

        Raises:
            Spent: There is no time left for it.
            Untried: It could not be made.
        """
        left, least = self._left(), self._run * len(experiment.cells)
        if left <= least:
            raise self._spent()
        self._tell(f"{doing} ({left:.0f} s left)")
        seconds = min(left, _FLOOR + _PATIENCE * least)
        tried = self._within(lambda: self._subject.tried(experiment, interpreter, seconds, left))
        self.runs += tried.runs
        return tried

    def _left(self) -> float:
        return self._end - time.monotonic()

    def _within(self, work: Callable[[], T]) -> T:
        """What *work* gives; what it could not do because the time was over is called so."""
        try:
            return work()
        except Untried as why:
            if self._left() <= 0:
                raise self._spent(why) from None
            raise

    def _spent(self, why: object = "") -> Spent:
        told = f"the {self.seconds:g} s for it were spent (repro_diagnose_seconds)"
        return Spent(f"{told}: {why}" if why else told)

    def affordable(self, wanted: int) -> int:
        """How many of *wanted* runs there is time for, when half of the rest is kept."""
        left = self._left() / 2
        return max(2, min(wanted, math.floor(left / max(self._run, 1e-3))))


_CHANCE = 0.0025
"""Chance at which an innocent suspect may be taken for the cause: 2 % over about eight of them."""


def runs_needed(differing: int, runs: int) -> int:
    """Runs after which, if none differs, that is hardly chance.

    A few runs say little of how often they differ: what counts is the least share that would still
    show as many in one case of ten (the lower bound of Wilson, 1927, at z = 1.28).

    Args:
        differing: How many differed from the first.
        runs: Of how many, the first not counted.
    """
    if differing >= runs:
        return 3
    share = least_share(differing, runs)
    return max(3, 1 + math.ceil(math.log(_CHANCE) / math.log1p(-share)))


def least_share(differing: int, runs: int, z: float = 1.28) -> float:
    """Wilson's lower bound of a share, 0 … 1 (https://doi.org/10.1080/01621459.1927.10502953)."""
    share, spread = differing / runs, z * z / runs
    middle = share + spread / 2
    return (middle - math.sqrt(spread * (share * (1 - share) + spread / 4))) / (1 + spread)
