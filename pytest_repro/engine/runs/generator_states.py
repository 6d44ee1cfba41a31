"""States of the global generators: of a block that seeds them, and outside of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from pytest_repro.adapters import STANDARD_LIBRARY, Adapter, active_adapters, list_seeding_functions
from pytest_repro.interpose.imports import guard_imports
from pytest_repro.interpose.seeding import Effect, SeedingWatch, observers


def read_generator_states() -> list[object]:
    """The states of all global generators."""
    return [adapter.global_states_key() for adapter in active_adapters().values()]


def are_generators_used(seed: int) -> bool:
    """Whether a global generator was drawn from since all were seeded with *seed*."""
    current = read_generator_states()
    readable = [adapter for adapter in active_adapters().values() if adapter.has_readable_state]
    restorers = [adapter.save_global_states() for adapter in readable]
    for adapter in readable:
        adapter.seed(seed)
    seeded = read_generator_states()
    for restore in restorers:
        restore()
    return current != seeded


_MAX_STATES = 8
"""States before the test seeded that are remembered: it may go back to them."""


class OutsideStates:
    """States that the global generators have outside of a block that seeds them.

    Attributes:
        adapters: Of their libraries. An import must not load the adapter of another library, which would
            import what is just being imported.
    """

    def __init__(self) -> None:
        self.adapters: dict[str, Adapter] = {}
        self._first: dict[str, Callable[[], None]] = {}
        self._current: dict[str, Callable[[], None]] = {}
        self._last: dict[str, Callable[[], None]] = {}

    def save(self, name: str, adapter: Adapter) -> None:
        self.adapters[name] = adapter
        self._first[name] = self._current[name] = self._last[name] = adapter.save_global_states()

    def restore(self, name: str) -> None:
        """Restores the state of the library *name* that the last import left, and forgets it."""
        self._last.pop(name)()
        del self.adapters[name], self._first[name], self._current[name]

    def rewind(self) -> None:
        """Each run begins with the same states: it may import a module again."""
        self._current = dict(self._first)

    @contextmanager
    def swap(self) -> Iterator[None]:
        """The generators have these states in the block, which may advance them."""
        readable = {name: each for name, each in self.adapters.items() if each.has_readable_state}
        inside = {name: adapter.save_global_states() for name, adapter in readable.items()}
        for name in readable:
            self._current[name]()
        try:
            yield
        finally:
            for name, restore in inside.items():
                self._current[name] = self._last[name] = self.adapters[name].save_global_states()
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
        for adapter in active_adapters().values():
            adapter.seed(seed)
        seeded.note_seeded()
        yield seeded.map_back


class DrawWatch:
    """Notes from which libraries' global generators a run draws before it has seeded them itself.

    A block of the watch is a phase of the run, and begins right after everything was seeded.

    Args:
        seed: That everything is seeded with.
        on_draw: Called with the library for each draw; many draws may be noticed as one.

    Attributes:
        libraries: The libraries, in the order of their first such draw.
        set_up_states, body_states: Of each library that the test has not seeded, at the end of the phase.
    """

    def __init__(self, seed: int, on_draw: Callable[[str], None] = lambda library: None) -> None:
        self._seed, self._on_draw = seed, on_draw
        self._is_setup = True
        self._begin()

    def _begin(self) -> None:
        self.libraries: dict[str, None] = {}
        self.set_up_states: dict[str, object] = {}
        self.body_states: dict[str, object] = {}
        self._seeded: set[str] = set()  # what the test seeds in its set-up, it has seeded in its body
        self._start_states: dict[str, object] = {}
        self._states: dict[str, object] = {}
        self._own_states: defaultdict[str, list[object]] = defaultdict(list)

    def watch(self, is_setup: bool, begins_run: bool) -> DrawWatch:
        """Prepares the next block: the set-up or the body; *begins_run* if it is the first one of a run."""
        if begins_run:
            self._begin()
        self._is_setup = is_setup
        return self

    def __enter__(self) -> None:
        self._adapters = active_adapters()
        self._start_states = {name: each.global_states_key() for name, each in self._adapters.items()}
        self._states = self._start_states.copy()
        self._hooks = SeedingWatch(tuple(self._adapters), list_seeding_functions, self)
        self._hooks.__enter__()

    def __exit__(self, *error: object) -> None:
        self.check()
        states = {name: state for name, state in self._states.items() if name not in self._seeded}
        if self._is_setup:
            self.set_up_states = states
        else:
            self.body_states = states
        self._hooks.__exit__()

    def check(self) -> None:
        """Notes the draws since the last check; not while observers are paused."""
        if self in observers:
            states = {library: self._adapters[library].global_states_key() for library in self._states}
            for library, state in states.items():
                self._note_state(library, state)

    def before_seeding(self, library: str) -> None:
        if library in self._states:
            self._note_state(library, self._adapters[library].global_states_key())

    def _note_state(self, library: str, state: object) -> None:
        before, self._states[library] = self._states[library], state
        if library not in self._seeded and _has_moved(before, state):
            self.libraries[library] = None
            self._on_draw(library)

    def after_seeding(self, library: str, effect: Effect) -> None:
        if library not in self._states:
            return
        before, own_states = self._states[library], self._own_states[library]
        now = self._states[library] = self._adapters[library].global_states_key()
        if library not in self._seeded and before not in own_states:
            own_states[:] = [*own_states[-_MAX_STATES:], before]
        if effect == "restores" and now in (self._start_states[library], *own_states):
            self._seeded.discard(library)
        elif effect != "advances":
            self._seeded.add(library)


def name_generator(library: str) -> str:
    """The module that has the global generator of an adapter's *library*."""
    return "random" if library == STANDARD_LIBRARY else library


def _has_moved(before: object, now: object) -> bool:
    """Whether a generator was used; one that has only now started, on a device, was not."""
    if isinstance(before, list) and isinstance(now, list):
        return any(one != other for one, other in zip(before, now))
    return before != now
