"""Runs of one test that all take from outside what the first of them took.

After Chen et al., *Towards Training Reproducible Deep Learning Models* (ICSE 2022): what a seed does
not control is recorded in one run and replayed in the others. If runs are equal under replay and
differ without it, they differ only by what they take from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from typing import NamedTuple

from pytest_repro.adapters import Adapter, find_generator_adapter, patch_entropy
from pytest_repro.adapters._find_generators import iter_user_globals
from pytest_repro.core.replay.external_input import ReplayLog
from pytest_repro.engine.replay.tape import Tape, TapedClocks, TapedEntropy, ThreadNames
from pytest_repro.interpose.patch import patch_everywhere

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
    """

    def __init__(
        self, whole_runs: bool = False, logs: Mapping[str, ReplayLog] | None = None, root: str = ""
    ) -> None:
        self._whole_runs, self._root = whole_runs, root
        self.logs = dict(logs or {})
        self._tapes: dict[str, Tape] = {}
        self._thread_names = ThreadNames()

    def begin_run(self) -> Callable[[], AbstractContextManager[None]] | None:
        """Starts the next run.

        Returns:
            Makes the context of the run, once for each time it continues; None without *whole_runs*.
        """
        self._tapes, self._thread_names = {}, ThreadNames()
        if not self._whole_runs:
            return None
        return partial(intercept, self._make_tape(WHOLE_RUN))

    def _make_tape(self, part: str) -> Tape:
        self._tapes[part] = Tape(self.logs.get(part), self._root, self._thread_names)
        return self._tapes[part]

    def intercept_block(self) -> AbstractContextManager[None]:
        """Replays the next block of this run; does nothing inside a replayed run."""
        if self._whole_runs:
            return nullcontext()
        return intercept(self._make_tape(f"block {len(self._tapes) + 1}"))

    def keep_logs(self) -> None:
        """Keeps what the last run recorded, for parts that have no log yet."""
        for part, tape in self._tapes.items():
            self.logs.setdefault(part, tape.log)

    @property
    def past_log(self) -> tuple[str, ...]:
        """One sentence for each place where the run left its log."""
        return tuple(dict.fromkeys(note for tape in self._tapes.values() for note in tape.past_log))


@contextmanager
def intercept(tape: Tape) -> Iterator[None]:
    """Takes what the block takes from outside from *tape*; the same tape may be entered again."""
    clocks, log = TapedClocks(tape), tape.replayed_log
    try:
        with ExitStack() as stack:
            stack.enter_context(_replay_generators(tape, log) if log else _record_generators(tape))
            stack.enter_context(patch_everywhere([*clocks.make_patches(), *tape.thread_names.make_patches()]))
            stack.enter_context(clocks.reset_uuid_timestamp())
            stack.enter_context(patch_entropy(lambda: TapedEntropy(tape)))
            yield
    finally:
        clocks.active = False


class _UserGenerator(NamedTuple):
    """A generator in a global of a user's module, with its state when it was found."""

    adapter: Adapter
    generator: object
    initial_state: str

    def get_state(self) -> str:
        return self.adapter.get_state(self.generator) or self.initial_state

    def set_state(self, state: str) -> None:
        self.adapter.set_state(self.generator, state)


def _find_generators() -> dict[str, _UserGenerator]:
    """The generators in globals of the user's modules, by module and name."""
    return {
        name: _UserGenerator(adapter, value, adapter.get_state(value) or "")
        for name, value in iter_user_globals()
        if (adapter := find_generator_adapter(value)) is not None
    }


@contextmanager
def _replay_generators(tape: Tape, log: ReplayLog) -> Iterator[None]:
    """Sets generators to the states in *log* for the block, and restores them afterwards."""
    generators = _find_generators()
    states = {**log.generators, **tape.exit_states}
    replayed = {n: generators[n] for n, state in states.items() if _set_state(tape, n, state, generators)}
    try:
        yield
    finally:
        tape.exit_states = {name: generator.get_state() for name, generator in replayed.items()}
        for generator in replayed.values():
            generator.set_state(generator.initial_state)


@contextmanager
def _record_generators(tape: Tape) -> Iterator[None]:
    """Records the states of generators, which the block draws from as usual.

    Draws while the run is suspended (by a wider fixture, which no later run sets up) are not part of
    the run: a generator that the run has not drawn from yet starts at its state after them.
    """
    generators, states = _find_generators(), tape.initial_states
    for name, generator in generators.items():
        if states.get(name) == tape.exit_states.get(name):
            states[name] = generator.initial_state
    try:
        yield
    finally:
        tape.exit_states = {name: generator.get_state() for name, generator in generators.items()}


def _set_state(tape: Tape, name: str, state: str, generators: Mapping[str, _UserGenerator]) -> bool:
    """Sets a generator to *state*; False, and a note, if that is impossible."""
    if name not in generators:
        tape.note_past_log(f"replay could not find the generator {name} of the log")
        return False
    generator = generators[name]
    try:
        generator.set_state(state)
    except Exception as error:  # whatever the library raises for the state of another kind
        with suppress(Exception):
            generator.set_state(generator.initial_state)
        tape.note_past_log(f"replay could not set the state of {name}: {type(error).__name__}: {error}")
        return False
    return True
