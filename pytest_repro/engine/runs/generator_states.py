"""States of the global generators: of a block that seeds them, and outside of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from pytest_repro.adapters import Adapter, active_adapters, seed_all
from pytest_repro.interpose.imports import guard_imports


def read_generator_states() -> list[object]:
    """The states of all global generators."""
    return [adapter.global_states_key() for adapter in active_adapters().values()]


def are_generators_used(seed: int) -> bool:
    """Whether a global generator was drawn from since all were seeded with *seed*."""
    current = read_generator_states()
    restorers = [adapter.save_global_states() for adapter in active_adapters().values()]
    seed_all(seed)
    seeded = read_generator_states()
    for restore in restorers:
        restore()
    return current != seeded


class OutsideStates:
    """States that the global generators have outside of a block that seeds them."""

    def __init__(self) -> None:
        self._restorers: dict[str, Callable[[], None]] = {}

    def save(self, name: str, adapter: Adapter) -> None:
        self._restorers[name] = adapter.save_global_states()

    def restore(self, name: str) -> None:
        self._restorers.pop(name)()

    @contextmanager
    def swap(self) -> Iterator[None]:
        """The generators have these states in the block, which may advance them."""
        adapters = active_adapters()
        inside = {name: adapters[name].save_global_states() for name in self._restorers}
        for restore in self._restorers.values():
            restore()
        try:
            yield
        finally:
            for name, restore in inside.items():
                self.save(name, adapters[name])
                restore()


class SeededStates:
    """The states that a seeded block begins with, and those that it replaced."""

    def __init__(self) -> None:
        self._states = {
            name: (adapter.global_states_key, adapter.save_global_states())
            for name, adapter in active_adapters().items()
        }
        self._seeded: dict[str, object] = {}

    def note_seeded(self) -> None:
        """Notes the states that the block begins with."""
        self._seeded = {name: read() for name, (read, _) in self._states.items()}

    @contextmanager
    def map_back(self) -> Iterator[None]:
        """A generator that gets its state of the seeded block in this block gets the replaced one after it.

        A fixture saves the state of a generator when it is made, and restores it when it ends.
        """
        before = {name: read() for name, (read, _) in self._states.items()}
        try:
            yield
        finally:
            for name, (read, restore) in self._states.items():
                if before[name] != self._seeded[name] == read():
                    restore()


@contextmanager
def seed_temporarily(seed: int) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Seeds every generator for a block, and restores their states after it.

    Args:
        seed: 0 … 2**32 - 1.

    Yields:
        :meth:`SeededStates.map_back`, for later code that restores what it saved in the block.
    """
    states, seeded = OutsideStates(), SeededStates()
    with ExitStack() as stack:
        for name, adapter in active_adapters().items():
            states.save(name, adapter)
            stack.callback(states.restore, name)
        stack.enter_context(guard_imports(states.swap))
        seed_all(seed)
        seeded.note_seeded()
        yield seeded.map_back
