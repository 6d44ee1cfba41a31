"""Runs of one test that all take from outside what the first of them took.

After Chen et al., *Towards Training Reproducible Deep Learning Models* (ICSE 2022): what a seed does
not control is recorded in one run and replayed in the others. If runs are equal under replay and
differ without it, they differ only by what they take from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_repro.core.replay import ReplayLog
    from pytest_repro.engine.replay.tape import Tape, ThreadNames

WHOLE_RUN = ""
"""The key of the log of a whole run; the others are of blocks."""


class Replay:
    """Replays the log of the first run of a test, or a given log, in each run.

    Replays entropy of the operating system (``default_rng()``, ``uuid4``, ``os.urandom``,
    ``torch.seed()``, …), Python's clocks, and the states of generators in globals of the user's
    modules. Cannot replay what modules and wider fixtures took before the run, generators elsewhere
    that outlive a run, what compiled code reads itself, and which thread of a pool comes first.

    Args:
        whole_runs: Whether to replay whole runs, or blocks only.
        logs: Logs to replay, by :data:`WHOLE_RUN` or block; the first run records the others.
        root: Locations in logs are relative to this folder.

    Attributes:
        whole_runs: The same.
        logs: The logs by part of a run.
        tapes: What this run has recorded or replayed, by part.
    """

    def __init__(
        self, whole_runs: bool = False, logs: Mapping[str, ReplayLog] | None = None, root: str = ""
    ) -> None:
        self.whole_runs, self._root = whole_runs, root
        self.logs = dict(logs or {})
        self.tapes: dict[str, Tape] = {}
        self._thread_names: ThreadNames | None = None

    def begin_run(self) -> Callable[[], AbstractContextManager[None]] | None:
        """Starts the next run.

        Returns:
            Makes the context of the run, once for each time it continues; None without *whole_runs*.
        """
        self.tapes, self._thread_names = {}, None
        return self._connect_tape(WHOLE_RUN) if self.whole_runs else None

    def _connect_tape(self, part: str) -> Callable[[], AbstractContextManager[None]]:
        # Few tests replay anything: the others do not import this.
        from pytest_repro.engine.replay.intercept import intercept
        from pytest_repro.engine.replay.tape import Tape, ThreadNames

        self._thread_names = self._thread_names or ThreadNames()
        self.tapes[part] = Tape(self.logs.get(part), self._root, self._thread_names)
        return partial(intercept, self.tapes[part])

    def intercept_block(self) -> AbstractContextManager[None]:
        """Replays the next block of this run; does nothing inside a replayed run."""
        if self.whole_runs:
            return nullcontext()
        return self._connect_tape(f"block {len(self.tapes) + 1}")()

    def keep_logs(self) -> None:
        """Keeps what the last run recorded, for parts that have no log yet."""
        for part, tape in self.tapes.items():
            self.logs.setdefault(part, tape.log)

    @property
    def past_log(self) -> tuple[str, ...]:
        """One sentence for each place where the run left its log."""
        return tuple(dict.fromkeys(note for tape in self.tapes.values() for note in tape.past_log))
