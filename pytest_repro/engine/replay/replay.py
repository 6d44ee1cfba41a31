"""The runs of one test, fed with what the first of them took from outside.

After Chen et al., *Towards Training Reproducible Deep Learning Models* (ICSE 2022): what a seed does
not reach is put down in one run and given in the others. Equal under replay and different without
it, a program differs by nothing else than what it takes from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType

from pytest_repro.core.replay.external_input import ReplayLog
from pytest_repro.engine.replay.intercept import ThreadNames, intercept
from pytest_repro.engine.replay.tape import Tape

WHOLE_RUN = ""
"""The log of a whole run, among those of blocks."""


class Replay:
    """Feeds each run of a test with the log of the first, or with one that is given.

    Reached are the entropy of the operating system (``default_rng()``, ``uuid4``, ``os.urandom``,
    ``torch.seed()``, …), Python's clocks, and where the generators stand that are globals of the
    user's modules. Out of reach: what the modules and wider fixtures took that were made before the
    run, a generator elsewhere than in a global that lives longer than a run, what compiled code
    asks by itself, and which thread of a pool comes first.

    Args:
        whole_runs: Whether whole runs are fed; else only blocks.
        logs: What is given: that of whole runs as :data:`WHOLE_RUN`; of what is not there, the first
            run is put down.
        root: Files below this folder are called by their path in it.

    Attributes:
        logs: What runs are fed with, and blocks of them.
    """

    def __init__(
        self, whole_runs: bool = False, logs: Mapping[str, ReplayLog] | None = None, root: str = ""
    ) -> None:
        self._whole_runs, self._root = whole_runs, root
        self.logs: dict[str, ReplayLog] = dict(logs or {})
        self._tapes: dict[str, Tape] = {}
        self._thread_names = ThreadNames()

    def begin_run(self) -> Callable[[], AbstractContextManager[None]] | None:
        """Turns to the next run.

        Returns:
            What feeds it, to be entered as often as it is left; None where no whole run is fed.
        """
        self._tapes, self._thread_names = {}, ThreadNames()
        if not self._whole_runs:
            return None
        tape, threads = self._make_tape(WHOLE_RUN), self._thread_names
        return lambda: intercept(tape, threads)

    def _make_tape(self, part: str) -> Tape:
        made = self._tapes[part] = Tape(self.logs.get(part), self._root, self._thread_names.get_current_name)
        return made

    def intercept_block(self) -> AbstractContextManager[None]:
        """Feeds the next block of this run; of a run that is fed as a whole it is a part anyway."""
        if self._whole_runs:
            return nullcontext()
        return intercept(self._make_tape(f"block {len(self._tapes) + 1}"), self._thread_names)

    def keep_logs(self) -> None:
        """Has the run that ended be the first: what it took, and no earlier one did, is kept."""
        for part, tape in self._tapes.items():
            self.logs.setdefault(part, tape.log)

    @property
    def past_log(self) -> tuple[str, ...]:
        """Where the run asked for what is not in its log, a sentence for each place."""
        return tuple(dict.fromkeys(each for tape in self._tapes.values() for each in tape.past_log))


class ReplayedBlock:
    """Blocks of which each run takes from outside what the first one took: ``with repro.replayed:``."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._open_blocks: list[AbstractContextManager[None]] = []

    def __call__(self) -> ReplayedBlock:
        """The same: ``with repro.replayed():``."""
        return self

    def __enter__(self) -> None:
        block = self._replay.intercept_block()
        block.__enter__()
        self._open_blocks.append(block)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return self._open_blocks.pop().__exit__(exc_type, exc_value, traceback)
