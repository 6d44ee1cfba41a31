"""Puts a tape between a program and what it takes from outside, for a block."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from threading import current_thread
from typing import NamedTuple
from weakref import WeakKeyDictionary

from pytest_repro.adapters import Adapter, active_adapters, patch_entropy
from pytest_repro.causes._frozen_clock import FrozenClock
from pytest_repro.engine.replay.tape import Tape
from pytest_repro.interpose.patch import Patch, copy_identity, list_modules, patch_everywhere
from pytest_repro.interpose.user_frames import is_user_module

_urandom = os.urandom
_REAL_CLOCKS: dict[str, Callable[[], int]] = {
    name.removesuffix("_ns"): clock
    for name, clock in vars(time).items()
    if name.endswith("_ns") and not name.startswith("clock_")
}


class TapedEntropy:
    """Stands in the place of the operating system."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def getrandbits(self, k: int, /) -> int:
        """A number of *k* bits."""

        def read_real() -> str:
            return f"{int.from_bytes(_urandom((k + 7) // 8), 'big') >> (-k % 8):x}"

        return int(self._tape.answer(f"{k} bits", read_real), 16)

    def randbytes(self, n: int, /) -> bytes:
        """*n* bytes."""
        return bytes.fromhex(self._tape.answer(f"{n} bytes", lambda: _urandom(n).hex()))


class TapedClocks(FrozenClock):
    """Clocks that show what the tape says: the real time while that is put down.

    Where the log has no more, a clock goes on from what it showed last, so that it never runs
    backwards: a loop that waits for a deadline ends.
    """

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self._tape = tape

    def read_ns(self, clock: str) -> int:
        real: list[int] = []

        def read_real() -> str:
            real.append(_REAL_CLOCKS[clock]() + self._tape.clock_offsets.get(clock, 0))
            return str(real[0])

        shown = int(self._tape.answer(clock, read_real))
        if not real:
            self._tape.clock_offsets[clock] = shown - _REAL_CLOCKS[clock]()
        return shown


class ThreadNames:
    """Names threads by who started them, and as which: the same in each run."""

    def __init__(self) -> None:
        self._names: WeakKeyDictionary[threading.Thread, str] = WeakKeyDictionary()
        self._start_counts: dict[str, count[int]] = {}

    def get_current_name(self) -> str:
        """Of the thread that asks; ``""`` for one that was there before."""
        return self._names.get(current_thread(), "")

    def make_patches(self) -> Iterator[Patch]:
        """``Thread.start``, which names what it starts."""
        real = threading.Thread.start

        def start(thread: threading.Thread) -> None:
            above = self.get_current_name()
            number = next(self._start_counts.setdefault(above, count(1)))
            self._names[thread] = f"{above}.{number}" if above else str(number)
            real(thread)

        yield Patch(threading.Thread, "start", copy_identity(start, real, threading.Thread, "start"))


class _UserGenerator(NamedTuple):
    """A generator that a user's module holds."""

    adapter: Adapter
    generator: object
    state: str


def _find_generators() -> dict[str, _UserGenerator]:
    """The generators in the globals of the user's modules, by module and name."""
    libraries = list(active_adapters().values())
    return {
        f"{module.__name__}.{name}": found
        for module in list_modules()
        if is_user_module(module)
        for name, value in list(vars(module).items())
        if (found := _identify_generator(libraries, value)) is not None
    }


def _identify_generator(adapters: list[Adapter], value: object) -> _UserGenerator | None:
    for adapter in adapters:
        with suppress(Exception):  # a class of the user's own that only looks like a generator
            state = adapter.get_state(value)
            if state is not None:
                return _UserGenerator(adapter, value, state)
    return None


@contextmanager
def _replay_generators(tape: Tape) -> Iterator[None]:
    """Generators begin where they stood in the log, and afterwards are where they were before."""
    found = _find_generators()
    if tape.replayed_log is None:
        with _record_generators(tape, found):
            yield
        return
    states = {**tape.replayed_log.generators, **tape.exit_states}
    placed = {name: found[name] for name, state in states.items() if _set_state(tape, name, state, found)}
    try:
        yield
    finally:
        tape.exit_states = _read_states(placed)
        for each in placed.values():
            each.adapter.set_state(each.generator, each.state)


@contextmanager
def _record_generators(tape: Tape, generators: Mapping[str, _UserGenerator]) -> Iterator[None]:
    """Puts down where generators stand; a run whose answers are put down draws from them as ever.

    What moves one while the run is left (a wider fixture, which no later run makes) is no part of
    the run: where the run has not drawn from it yet, it begins where it stands afterwards.
    """
    begun = tape.initial_states if tape.initial_states is not None else {}
    for name, each in generators.items():
        if begun.get(name) == tape.exit_states.get(name):
            begun[name] = each.state
    tape.initial_states = begun
    try:
        yield
    finally:
        tape.exit_states = _read_states(generators)


def _read_states(generators: Mapping[str, _UserGenerator]) -> dict[str, str]:
    return {name: _read_state(each) for name, each in generators.items()}


def _read_state(generator: _UserGenerator) -> str:
    return generator.adapter.get_state(generator.generator) or generator.state


def _set_state(tape: Tape, name: str, state: str, generators: Mapping[str, _UserGenerator]) -> bool:
    """Puts a generator where it stood; says whether that could be done."""
    if name not in generators:
        tape.note_past_log(f"replay found no generator {name} to put where it stood")
        return False
    each = generators[name]
    try:
        each.adapter.set_state(each.generator, state)
    except Exception as error:  # whatever the library raises for the state of another kind
        with suppress(Exception):
            each.adapter.set_state(each.generator, each.state)
        tape.note_past_log(f"replay could not put {name} where it stood: {type(error).__name__}: {error}")
        return False
    return True


@contextmanager
def intercept(tape: Tape, thread_names: ThreadNames) -> Iterator[None]:
    """What the block takes from outside, it takes from *tape*; may be left and entered again.

    Args:
        tape: Of one run.
        thread_names: Of the same run.
    """
    clocks = TapedClocks(tape)
    try:
        with ExitStack() as stack:
            stack.enter_context(_replay_generators(tape))
            stack.enter_context(patch_everywhere([*clocks.make_patches(), *thread_names.make_patches()]))
            stack.enter_context(clocks.reset_uuid_timestamp())
            stack.enter_context(patch_entropy(lambda: TapedEntropy(tape)))
            yield
    finally:
        clocks.active = False
