"""The runs of one test under one plan, and what follows from them."""

from __future__ import annotations

import traceback
from collections.abc import Iterator

from pytest_repro.core.compare.compare import outcome_mismatches, steps
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.plot_data import Picture
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.golden.value_summary import Account
from pytest_repro.core.plan.cell import REPEAT, Cell, others, repeat
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.observation import label
from pytest_repro.core.runs.run import Outcome, Run
from pytest_repro.engine.runs.availability import missing, within_reach
from pytest_repro.engine.runs.distance import kept
from pytest_repro.engine.runs.levels import parted, standing, uncounted_in, worded
from pytest_repro.engine.runs.recording import Recorded, Recording
from pytest_repro.engine.runs.remote_recording import Fetch, Received
from pytest_repro.values.spill_store import Shelf
from pytest_repro.values.value_summary import account

KEEP_MB = 512
"""Megabytes of the reference run's values kept in memory; what is more goes to a file."""


class Trial:
    """Collects the runs of one test and judges them.

    Args:
        plan: What is asked.
        keep_mb: Megabytes (2**20 bytes) of values kept in memory to say how far runs are apart.
        pictured: Whether a verdict that is ``diverged`` holds what can be drawn of it.

    Attributes:
        plan: What is asked, as far as it is to be had here.
        nothing: Whether nothing can be run: there is no value at all of an axis to be had here.
        shelf: Where values are kept.
        pictured: Whether differences are drawn.
    """

    def __init__(self, plan: Plan, keep_mb: int = KEEP_MB, pictured: bool = False) -> None:
        self.plan, self._gone, self.nothing = within_reach(plan)
        self.shelf, self.pictured = Shelf(keep_mb * 2**20), pictured
        self._done: list[tuple[Run, Recorded]] = []
        self._without: list[Run] = []

    @property
    def runs(self) -> list[Run]:
        """The runs finished so far, the reference run first."""
        return [run for run, _ in self._done]

    def rehearsals(self) -> Iterator[Cell]:
        """What is run in this process, but for the last run; asked for one at a time.

        The reference comes first. Each other value is run once; where that gives other bits, however
        close, it is run again, to tell a value that differs from one that does not repeat itself.
        """
        vary = self.plan.vary
        if self.plan.runs < 2 or self.nothing:
            return
        yield repeat(vary, 0)
        for cell in others(vary, elsewhere=False):
            if why := missing(self.plan, cell.axis, cell.value):
                self.absent(cell, why)
                continue
            yield cell
            if self.differs(cell):
                yield cell.again()
        for number in range(1, self.plan.runs - 1):
            yield repeat(vary, number)

    @property
    def planned(self) -> int:
        """Number of runs in this process, as far as is known: a value that differs is run again."""
        here = [each.axis for each in self.plan.vary if not each.elsewhere]
        asked = sum(1 for _ in others(self.plan.vary, elsewhere=False))
        gone = sum(run.axis in here for run in self._without)
        again = sum(run.at is not None and run.at[0] in here for run in self.runs)
        return self.plan.runs + asked - gone + again

    @property
    def last(self) -> Cell:
        """The last run: one more at the reference."""
        return repeat(self.plan.vary, self.plan.runs - 1)

    def elsewhere(self) -> Iterator[Cell]:
        """What is run in other interpreters; what is not to be had there is put down as absent."""
        if self.plan.runs < 2 or self.nothing:
            return
        for cell in others(self.plan.vary, elsewhere=True):
            if why := missing(self.plan, cell.axis, cell.value):
                self.absent(cell, why)
            else:
                yield cell

    def recording(self, cell: Cell) -> Recording:
        """An empty recording for a run of *cell*."""
        base = self._base(cell)
        if base is None:
            return Recording(self.shelf, self.plan.closeness())
        axis, keep = cell.axis, cell.axis != REPEAT
        close, mixed = self.plan.closeness(axis), self.plan.mixed(axis)
        return Recording(self.shelf, close, base[1], keep, mixed, self.pictured)

    @property
    def reference(self) -> tuple[Run, Recorded] | None:
        """The run that others are compared with, once it is done."""
        return self._done[0] if self._done else None

    def aside(self) -> Recording:
        """An empty recording for a run that is no part of the trial: large values are digested alone."""
        close = self.plan.closeness()
        return Recording(self.shelf, close, Recording(self.shelf, close))

    def received(self, cell: Cell, run: Run, recording: Received, fetch: Fetch) -> None:
        """Takes a run from elsewhere, and measures it while its values can be fetched."""
        self.measured(cell, run, recording, fetch)
        self.add(run, recording)

    def measured(self, cell: Cell, run: Run, recording: Received, fetch: Fetch) -> None:
        """Measures a run from elsewhere, or keeps its values where others will be compared with it."""
        base = self._base(cell)
        if base is not None and run.outcome == base[0].outcome and not recording.same_as(base[1]):
            close, mixed = self.plan.closeness(cell.axis), self.plan.mixed(cell.axis)
            recording.compare(base[1], self.shelf, close, mixed, fetch)
        if self.plan.ranks and (base is None or cell.axis != REPEAT):
            recording.keep(self.shelf, fetch)

    def add(self, run: Run, recording: Recorded) -> None:
        """Takes a finished run."""
        self._done.append((run, recording))

    def absent(self, cell: Cell, why: str) -> None:
        """Puts down that nothing ran at *cell*, since its value is not to be had here."""
        self._without = [run for run in self._without if (run.axis, run.value) != (cell.axis, cell.value)]
        run = Run(cell.axis, cell.value, "skipped", error=why, setting=cell.setting, state="absent")
        self._without.append(run)

    def lost(self, cell: Cell, why: str) -> None:
        """Puts down that *cell* was begun elsewhere and gave no answer."""
        run = Run(
            cell.axis, cell.value, "failed", error=why, setting=cell.setting, at=cell.at, state="lost"
        )  # fmt: skip
        self._without.append(run)

    def differs(self, cell: Cell) -> bool:
        """Whether the run of *cell* recorded other bits than the one it is compared with."""
        found = next((done for done in self._done if (done[0].axis, done[0].value) == cell[:2]), None)
        base = self._base(cell)
        if found is None or base is None or found[0].outcome != base[0].outcome:
            return False
        return not found[1].same_as(base[1])

    def _base(self, cell: Cell | Run) -> tuple[Run, Recorded] | None:
        """The run that *cell* is compared with: the reference, or for a repeat the first of its value."""
        if not self._done:
            return None
        if cell.at is None:
            return self._done[0]
        return next((done for done in self._done if (done[0].axis, done[0].value) == cell.at), None)

    def forget(self) -> None:
        """Drops what the runs so far have shown: they do not count."""
        self.close()
        self.shelf = Shelf(self.shelf.budget)
        self._done.clear()
        self._without.clear()

    def verdict(self, *last: tuple[Run, Recorded]) -> Verdict:
        """What follows from the runs taken so far, and from *last*, which is not kept."""
        done = [*self._done, *last]
        # What nothing was varied in is told first.
        done[1:] = sorted(done[1:], key=lambda each: each[0].axis != REPEAT or each[0].at is not None)
        runs = (*(run for run, _ in done), *self._gone, *self._without)
        if not done:
            lost = any(run.state == "lost" for run in runs)
            return Verdict("failed" if lost else "skipped", self.plan, runs)
        values = parted(self.plan, done, self._base, self.plan.level or "bitwise")
        found = (*outcome_mismatches(runs), *values)
        series = steps(done[0][1].observations()) if found else {}
        drawn = self._pictures(done, found) if self.pictured and found else ()
        word, level = worded(self.plan, runs, done, found), standing(self.plan, done, self._base, found)
        found = () if word == "skipped" else found  # what was recorded before a skip says nothing
        over = uncounted_in(done[0][1]) if self.plan.level not in (None, "bitwise") else ()
        return Verdict(word, self.plan, runs, found, series, over, pictures=drawn, level=level)

    def _pictures(self, done: list[tuple[Run, Recorded]], found: tuple[Mismatch, ...]) -> tuple[Picture, ...]:
        from pytest_repro.engine.runs.plots import pictures

        compared = ((run, (self._base(run) or done[0])[1], recording) for run, recording in done[1:])
        return tuple(pictures(found, compared, self.plan.mixed))

    def accounts(self) -> Iterator[Account]:
        """What a report tells of what the reference run observed, in its order; before :meth:`close`."""
        observed = self._done[0][1].observations() if self._done else {}
        lengths = steps(observed)
        for key, found in observed.items():
            yield account(label(key, lengths[key[0]] > 1), found, kept(found.content, self.shelf))

    def close(self) -> None:
        """Lets go of the values kept."""
        self.shelf.close()


def as_run(
    cell: Cell,
    outcome: Outcome,
    seconds: float,
    recording: Recorded,
    error: BaseException | None,
    drew: bool = False,
    beyond: tuple[str, ...] = (),
) -> Run:
    """The record of a run.

    Args:
        cell: Under what it was made.
        outcome: What the body did.
        seconds: Wall time.
        recording: What it recorded.
        error: The exception that ended it, if one did.
        drew: Whether it drew numbers that differ at other values of its axis.
        beyond: Where it asked for what is not in the log that it was fed from.
    """
    kind = type(error)
    return Run(
        cell.axis, cell.value, outcome, seconds, len(recording),
        error="" if error is None else str(error) if outcome == "skipped" else one_line(error),
        error_type=f"{kind.__module__}.{kind.__qualname__}" if error is not None else "",
        left_out=recording.left_out, setting=cell.setting, at=cell.at, drew=drew, beyond=beyond,
    )  # fmt: skip


def one_line(error: BaseException, width: int = 100) -> str:
    """*error* as ``ValueError: the first line of its message``, at most *width* characters."""
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    first = text.splitlines()[0].strip() if text else type(error).__name__
    return first if len(first) <= width else f"{first[: width - 1]}…"
