"""Connects a tape to a program for a block: clocks, entropy, threads and generators."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from typing import NamedTuple
from weakref import WeakKeyDictionary

from pytest_repro.adapters import Adapter, find_generator_adapter, patch_entropy
from pytest_repro.adapters._find_generators import iter_user_globals
from pytest_repro.causes.clock import FrozenClock
from pytest_repro.core.replay.external_input import ReplayLog
from pytest_repro.engine.replay.tape import Tape
from pytest_repro.interpose.patch import Patch, copy_identity, patch_everywhere

_urandom = os.urandom
_REAL_CLOCKS: dict[str, Callable[[], int]] = {
    name.removesuffix("_ns"): clock
    for name, clock in vars(time).items()
    if name.endswith("_ns") and not name.startswith("clock_")
}


class TapedEntropy:
    """Entropy of the operating system, from a tape."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def getrandbits(self, k: int, /) -> int:
        """An integer of *k* random bits."""

        def read_real() -> str:
            return f"{int.from_bytes(_urandom((k + 7) // 8), 'big') >> (-k % 8):x}"

        return int(self._tape.answer(f"{k} bits", read_real), 16)

    def randbytes(self, n: int, /) -> bytes:
        """*n* random bytes."""
        return bytes.fromhex(self._tape.answer(f"{n} bytes", lambda: _urandom(n).hex()))


class TapedClocks(FrozenClock):
    """Clocks that show the times on a tape; the real time while it records.

    After the end of the log a clock continues from the last time it showed and never runs
    backwards, so that a loop that waits for a deadline ends.
    """

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self._tape = tape

    def read_ns(self, clock: str) -> int:
        real_readings: list[int] = []

        def read_real() -> str:
            real_readings.append(_REAL_CLOCKS[clock]() + self._tape.clock_offsets.get(clock, 0))
            return str(real_readings[0])

        reading = int(self._tape.answer(clock, read_real))
        if not real_readings:
            self._tape.clock_offsets[clock] = reading - _REAL_CLOCKS[clock]()
        return reading


class ThreadNames:
    """Names each thread by the thread that started it and the order of starts: ``"2.1"``."""

    def __init__(self) -> None:
        self._names: WeakKeyDictionary[threading.Thread, str] = WeakKeyDictionary()
        self._start_counts: dict[str, count[int]] = {}

    def get_current_name(self) -> str:
        """The name of the current thread; ``""`` if it was started before."""
        return self._names.get(threading.current_thread(), "")

    def make_patches(self) -> Iterator[Patch]:
        """Replaces ``Thread.start`` by a function that names the thread."""
        real = threading.Thread.start

        def start(thread: threading.Thread) -> None:
            starter = self.get_current_name()
            number = next(self._start_counts.setdefault(starter, count(1)))
            self._names[thread] = f"{starter}.{number}" if starter else str(number)
            real(thread)

        yield Patch(threading.Thread, "start", copy_identity(start, real, threading.Thread, "start"))


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
    generators = _find_generators()
    states = tape.initial_states = tape.initial_states or {}
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


@contextmanager
def intercept(tape: Tape, thread_names: ThreadNames) -> Iterator[None]:
    """Takes what the block takes from outside from *tape*; the same tape may be entered again."""
    clocks, log = TapedClocks(tape), tape.replayed_log
    try:
        with ExitStack() as stack:
            stack.enter_context(_replay_generators(tape, log) if log else _record_generators(tape))
            stack.enter_context(patch_everywhere([*clocks.make_patches(), *thread_names.make_patches()]))
            stack.enter_context(clocks.reset_uuid_timestamp())
            stack.enter_context(patch_entropy(lambda: TapedEntropy(tape)))
            yield
    finally:
        clocks.active = False
