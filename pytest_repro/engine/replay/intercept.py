"""Connects a tape to a program for a block: clocks, entropy, threads and generators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple

from pytest_repro.adapters import Adapter, find_generator_adapter, patch_entropy
from pytest_repro.adapters._find_generators import iter_user_globals
from pytest_repro.core.replay import ReplayLog
from pytest_repro.engine.replay.tape import Tape, TapedClocks, TapedEntropy
from pytest_repro.interpose.patch import patch_everywhere
from pytest_repro.interpose.thread_starts import note_thread_starts


@contextmanager
def intercept(tape: Tape) -> Iterator[None]:
    """Takes what the block takes from outside from *tape*; the same tape may be entered again."""
    clocks, log = TapedClocks(tape), tape.replayed_log
    try:
        with ExitStack() as stack:
            stack.enter_context(_replay_generators(tape, log) if log else _record_generators(tape))
            stack.enter_context(note_thread_starts())
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
