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

from pytest_repro.adapters import Adapter, awake, entropy_from
from pytest_repro.causes._frozen_clock import Frozen
from pytest_repro.engine.replay.tape import Tape
from pytest_repro.interpose.patch import Swap, modules, renamed, replaced_everywhere
from pytest_repro.interpose.user_frames import is_users

_urandom = os.urandom
_CLOCKS: dict[str, Callable[[], int]] = {
    name.removesuffix("_ns"): clock
    for name, clock in vars(time).items()
    if name.endswith("_ns") and not name.startswith("clock_")
}


class Entropy:
    """Stands in the place of the operating system."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def getrandbits(self, k: int, /) -> int:
        """A number of *k* bits."""

        def fresh() -> str:
            return f"{int.from_bytes(_urandom((k + 7) // 8), 'big') >> (-k % 8):x}"

        return int(self._tape.take(f"{k} bits", fresh), 16)

    def randbytes(self, n: int, /) -> bytes:
        """*n* bytes."""
        return bytes.fromhex(self._tape.take(f"{n} bytes", lambda: _urandom(n).hex()))


class Clocks(Frozen):
    """Clocks that show what the tape says: the real time while that is put down.

    Where the log has no more, a clock goes on from what it showed last, so that it never runs
    backwards: a loop that waits for a deadline ends.
    """

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self._tape = tape

    def look(self, clock: str) -> int:
        real: list[int] = []

        def fresh() -> str:
            real.append(_CLOCKS[clock]() + self._tape.ahead.get(clock, 0))
            return str(real[0])

        shown = int(self._tape.take(clock, fresh))
        if not real:
            self._tape.ahead[clock] = shown - _CLOCKS[clock]()
        return shown


class Threads:
    """Names threads by who started them, and as which: the same in each run."""

    def __init__(self) -> None:
        self._names: WeakKeyDictionary[threading.Thread, str] = WeakKeyDictionary()
        self._started: dict[str, count[int]] = {}

    def name(self) -> str:
        """Of the thread that asks; ``""`` for one that was there before."""
        return self._names.get(current_thread(), "")

    def swaps(self) -> Iterator[Swap]:
        """``Thread.start``, which names what it starts."""
        real = threading.Thread.start

        def start(thread: threading.Thread) -> None:
            above = self.name()
            number = next(self._started.setdefault(above, count(1)))
            self._names[thread] = f"{above}.{number}" if above else str(number)
            real(thread)

        yield Swap(threading.Thread, "start", renamed(start, real, threading.Thread, "start"))


class _Found(NamedTuple):
    """A generator that a user's module holds."""

    adapter: Adapter
    generator: object
    state: str


def _generators() -> dict[str, _Found]:
    """The generators in the globals of the user's modules, by module and name."""
    libraries = list(awake().values())
    return {
        f"{module.__name__}.{name}": found
        for module in modules()
        if is_users(module)
        for name, value in list(vars(module).items())
        if (found := _found(libraries, value)) is not None
    }


def _found(libraries: list[Adapter], value: object) -> _Found | None:
    for adapter in libraries:
        with suppress(Exception):  # a class of the user's own that only looks like a generator
            state = adapter.standing(value)
            if state is not None:
                return _Found(adapter, value, state)
    return None


@contextmanager
def _standing(tape: Tape) -> Iterator[None]:
    """Generators begin where they stood in the log, and afterwards are where they were before."""
    found = _generators()
    if tape.given is None:
        with _noted(tape, found):
            yield
        return
    states = {**tape.given.generators, **tape.left}
    placed = {name: found[name] for name, state in states.items() if _stands(tape, name, state, found)}
    try:
        yield
    finally:
        tape.left = _states(placed)
        for each in placed.values():
            each.adapter.stand(each.generator, each.state)


@contextmanager
def _noted(tape: Tape, found: Mapping[str, _Found]) -> Iterator[None]:
    """Puts down where generators stand; a run whose answers are put down draws from them as ever.

    What moves one while the run is left (a wider fixture, which no later run makes) is no part of
    the run: where the run has not drawn from it yet, it begins where it stands afterwards.
    """
    begun = tape.generators if tape.generators is not None else {}
    for name, each in found.items():
        if begun.get(name) == tape.left.get(name):
            begun[name] = each.state
    tape.generators = begun
    try:
        yield
    finally:
        tape.left = _states(found)


def _states(found: Mapping[str, _Found]) -> dict[str, str]:
    return {name: _state(each) for name, each in found.items()}


def _state(found: _Found) -> str:
    return found.adapter.standing(found.generator) or found.state


def _stands(tape: Tape, name: str, state: str, found: Mapping[str, _Found]) -> bool:
    """Puts a generator where it stood; says whether that could be done."""
    if name not in found:
        tape.note(f"replay found no generator {name} to put where it stood")
        return False
    each = found[name]
    try:
        each.adapter.stand(each.generator, state)
    except Exception as error:  # whatever the library raises for the state of another kind
        with suppress(Exception):
            each.adapter.stand(each.generator, each.state)
        tape.note(f"replay could not put {name} where it stood: {type(error).__name__}: {error}")
        return False
    return True


@contextmanager
def fed(tape: Tape, threads: Threads) -> Iterator[None]:
    """What the block takes from outside, it takes from *tape*; may be left and entered again.

    Args:
        tape: Of one run.
        threads: Of the same run.
    """
    clocks = Clocks(tape)
    try:
        with ExitStack() as stack:
            stack.enter_context(_standing(tape))
            stack.enter_context(replaced_everywhere([*clocks.swaps(), *threads.swaps()]))
            stack.enter_context(clocks.stamps())
            stack.enter_context(entropy_from(lambda: Entropy(tape)))
            yield
    finally:
        clocks.live = False
