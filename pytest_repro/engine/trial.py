"""The runs of one test under one plan, and what follows from them."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence

from pytest_repro.core.compare import Observed, judged, mismatches, outcome_mismatches, steps
from pytest_repro.core.mismatch import Mismatch
from pytest_repro.core.plan import Plan
from pytest_repro.core.run import Outcome, Run
from pytest_repro.core.verdict import Verdict
from pytest_repro.engine.recording import Recording
from pytest_repro.values.shelf import Shelf

KEEP_MB = 512
"""Megabytes of the reference run's values kept in memory; what is more goes to a file."""


class Trial:
    """Collects the runs of one test and judges them.

    Args:
        plan: What is asked.
        keep_mb: Megabytes (2**20 bytes) of values kept in memory to say how far runs are apart.
    """

    def __init__(self, plan: Plan, keep_mb: int = KEEP_MB) -> None:
        self.plan = plan
        self._shelf = Shelf(keep_mb * 2**20)
        self._done: list[tuple[Run, Recording]] = []

    @property
    def runs(self) -> list[Run]:
        """The runs finished so far, the reference run first."""
        return [run for run, _ in self._done]

    def recording(self) -> Recording:
        """An empty recording for the next run."""
        reference = self._done[0][1] if self._done else None
        return Recording(self._shelf, self.plan.tolerance, reference)

    def add(self, run: Run, recording: Recording) -> None:
        """Takes a finished run."""
        self._done.append((run, recording))

    def forget(self) -> None:
        """Drops what the runs so far have shown: they do not count."""
        self.close()
        self._shelf = Shelf(self._shelf.budget)
        self._done.clear()

    def verdict(self, *last: tuple[Run, Recording]) -> Verdict:
        """What follows from the runs taken so far, and from *last*, which is not kept."""
        done = [*self._done, *last]
        runs = tuple(run for run, _ in done)
        found = (*outcome_mismatches(runs), *_mismatches(done))
        named = steps(done[0][1].observations()) if found else {}
        return Verdict(judged(runs, found), self.plan, runs, found, named)

    def close(self) -> None:
        """Lets go of the values kept."""
        self._shelf.close()


def _mismatches(done: Sequence[tuple[Run, Recording]]) -> Iterator[Mismatch]:
    if len({run.outcome for run, _ in done}) > 1:
        return  # a run that broke recorded less: the outcome is the answer, not what is missing
    first, *others = done
    for run, recording in others:
        if recording.same_as(first[1]):
            continue
        yield from mismatches(
            Observed(first[0], first[1].observations()),
            Observed(run, recording.observations()),
            recording.measure,
        )


def as_run(
    value: object, outcome: Outcome, seconds: float, recording: Recording, error: BaseException | None
) -> Run:
    """The record of a run on the axis ``repeat``.

    Args:
        value: Number of the run, from 0.
        outcome: What the body did.
        seconds: Wall time.
        recording: What it recorded.
        error: The exception that ended it, if one did.
    """
    kind = type(error)
    return Run(
        "repeat", value, outcome, seconds, len(recording),
        error="" if error is None else str(error) if outcome == "skipped" else one_line(error),
        error_type=f"{kind.__module__}.{kind.__qualname__}" if error is not None else "",
        left_out=recording.left_out,
    )  # fmt: skip


def one_line(error: BaseException, width: int = 100) -> str:
    """*error* as ``ValueError: the first line of its message``, at most *width* characters."""
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    first = text.splitlines()[0].strip() if text else type(error).__name__
    return first if len(first) <= width else f"{first[: width - 1]}…"
