"""States of the global generators: of a block that seeds them, and outside of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from pytest_repro.adapters import Adapter, active_adapters, seed_all
from pytest_repro.interpose.imports import guard_imports


def read_generator_states() -> list[object]:
    """The states of all global generators."""
    return [adapter.global_states_key() for adapter in active_adapters().values()]


class OutsideStates:
    """States that the global generators have outside of a block that seeds them."""

    def __init__(self) -> None:
        self._first: dict[str, Callable[[], None]] = {}
        self._current: dict[str, Callable[[], None]] = {}
        self._last: dict[str, Callable[[], None]] = {}

    def save(self, name: str, adapter: Adapter) -> None:
        self._first[name] = self._current[name] = self._last[name] = adapter.save_global_states()

    def restore(self, name: str) -> None:
        """Restores the state of the library *name* that the last import left, and forgets it."""
        self._last.pop(name)()
        del self._first[name], self._current[name]

    def rewind(self) -> None:
        """Each run begins with the same states: it may import a module again."""
        self._current = dict(self._first)

    @contextmanager
    def swap(self) -> Iterator[None]:
        """The generators have these states in the block, which may advance them."""
        adapters = active_adapters()
        inside = {name: adapters[name].save_global_states() for name in self._current}
        for restore in self._current.values():
            restore()
        try:
            yield
        finally:
            for name, restore in inside.items():
                self._current[name] = self._last[name] = adapters[name].save_global_states()
                restore()


@contextmanager
def seed_temporarily(seed: int) -> Iterator[None]:
    """Seeds every generator for a block, and restores their states after it.

    Args:
        seed: 0 … 2**32 - 1.
    """
    states = OutsideStates()
    with ExitStack() as stack:
        for name, adapter in active_adapters().items():
            states.save(name, adapter)
            stack.callback(states.restore, name)
        stack.enter_context(guard_imports(states.swap))
        seed_all(seed)
        yield
