"""Holds what can be held: every generator at a seed, every switch at deterministic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import TracebackType

from pytest_repro.adapters import active_adapters, seed_all
from pytest_repro.axes import apply_setting, get_axis
from pytest_repro.causes._suspension import suspended
from pytest_repro.core.plan.cell import REPEAT, Cell
from pytest_repro.core.plan.plan import Deterministic, validate_deterministic, validate_seed


class Pin:
    """Holds generators, switches and the setting of a run; restores all of them when it lets go.

    A library that is imported while the pin holds is held from the next :meth:`seed` on.

    Args:
        seed: Given to every generator, 0 … 2**32 - 1.
        deterministic: Deterministic algorithms: True, False or ``"warn"``.

    Attributes:
        deterministic: Of deterministic algorithms.
        track_generators: Whether is looked at whether generators are asked.
    """

    def __init__(self, seed: int, deterministic: Deterministic = True) -> None:
        self._seed, self.deterministic = seed, deterministic
        self._stack, self._run_stack = ExitStack(), ExitStack()
        self._pinned_libraries: set[str] = set()
        self._setting: Mapping[str, object] = {}
        self._applied_setting: Mapping[str, object] | None = {}
        self._suspended: Sequence[str] = ()
        self._open_input: Callable[[], AbstractContextManager[None]] | None = None
        self._axis, self._axis_used = REPEAT, False
        self._seed_override: int | None = None
        self.track_generators = False
        self._generator_states: list[object] = []
        self._axis_state: object = None

    def prepare_run(self, cell: Cell, suspended: Sequence[str] = (), seed: int | None = None) -> None:
        """Sets the axes as *cell* says, from the next :meth:`seed` on.

        Args:
            cell: Under what the next run is made.
            suspended: Suspects that cannot act meanwhile, by name; they are suspended anew, so that
                each run meets the same: a frozen clock begins at the same instant.
            seed: Of a run that is given another one.
        """
        self._seed_override, self._generator_states = seed, []
        if suspended or self._suspended:
            self._applied_setting = None
        self._setting, self._suspended = cell.setting, suspended
        self._axis, self._axis_state, self._axis_used = cell.axis, None, False

    def set_input(self, open_input: Callable[[], AbstractContextManager[None]] | None) -> None:
        """Has the run that begins with the next :meth:`seed` fed, in contexts that *open_input* makes."""
        if open_input or self._open_input:
            self._applied_setting = None
        self._open_input = open_input

    def seed(self) -> None:
        """Seeds every generator, and holds what is not held yet."""
        self._axis_used = self.axis_generators_used
        found = active_adapters()
        if self._applied_setting != self._setting or not self._pinned_libraries.issuperset(found):
            self._apply_pins()
        for adapter in found.values():
            adapter.seed(self._seed if self._seed_override is None else self._seed_override)
        self._axis_state = self._read_axis_state()
        self._generator_states = _read_generator_states() if self.track_generators else []

    @property
    def axis_generators_used(self) -> bool:
        """Whether, since :meth:`prepare_run`, numbers were drawn that differ at other values of the axis."""
        return self._axis_used or (
            self._axis_state is not None and self._axis_state != self._read_axis_state()
        )

    @property
    def generators_used(self) -> bool:
        """Whether a generator was asked since the last :meth:`seed`, where that is looked at."""
        return bool(self._generator_states) and self._generator_states != _read_generator_states()

    def _read_axis_state(self) -> object:
        return None if self._axis == REPEAT else get_axis(self._axis).get_generator_states()

    def _apply_pins(self) -> None:
        self._release_run()  # what is held comes below them, and is restored after them
        for name, adapter in active_adapters().items():
            if name not in self._pinned_libraries:
                self._pinned_libraries.add(name)
                self._stack.callback(adapter.save_global_states())
                self._stack.enter_context(adapter.deterministic(self.deterministic))
        self._run_stack.enter_context(apply_setting(self._setting))
        if self._open_input is not None:
            self._run_stack.enter_context(self._open_input())
        if self._suspended:
            self._run_stack.enter_context(suspended(self._suspended, self._seed))
        self._applied_setting = self._setting

    def end_run(self) -> None:
        """Lets go of what each run has for itself, its setting and what is suspended, until the next."""
        self._applied_setting = None
        self._run_stack.close()

    def _release_run(self) -> None:
        self._applied_setting = {}
        self._run_stack.close()

    def release(self) -> None:
        """Restores everything as it was before the first :meth:`seed`."""
        self._pinned_libraries.clear()
        try:
            self._release_run()
        finally:
            self._stack.close()

    @property
    def all_libraries_seeded(self) -> bool:
        """Whether no library was imported since the last seeding: a newcomer's generator is unseeded."""
        return not self._pinned_libraries or self._pinned_libraries.issuperset(active_adapters())

    @contextmanager
    def unpinned(self) -> Iterator[None]:
        """The world as it is without the pin, for a block; then the pinned world as it was.

        What the block does to generators and switches outlives the pin.
        """
        if not self._pinned_libraries:
            yield
            return
        inside = [adapter.save_global_states() for adapter in active_adapters().values()]
        self.release()
        try:
            yield
        finally:
            self.seed()
            for restore in inside:
                restore()

    def __enter__(self) -> Pin:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def _read_generator_states() -> list[object]:
    """Where every global generator stands."""
    return [adapter.global_states_key() for adapter in active_adapters().values()]


@contextmanager
def seed_temporarily(seed: int) -> Iterator[None]:
    """Every generator seeded for a block; afterwards they stand where they stood before.

    Args:
        seed: 0 … 2**32 - 1.
    """
    before = [adapter.save_global_states() for adapter in active_adapters().values()]
    try:
        seed_all(seed)
        yield
    finally:
        for restore in before:
            restore()


@contextmanager
def pinned(seed: int = 0, deterministic: Deterministic = True) -> Iterator[int]:
    """Every generator seeded and every determinism switch set, for one block.

    All of it is restored to the bit afterwards, also after an exception and on Ctrl-C.

    Args:
        seed: 0 … 2**32 - 1, given to each imported library as it is.
        deterministic: True; ``"warn"``, where an op without a deterministic implementation warns
            instead of raising; or False for deterministic algorithms off.

    Yields:
        The seed.

    Raises:
        ValueError: *seed* or *deterministic* is none of these.
    """
    with Pin(validate_seed(seed), validate_deterministic(deterministic)) as pin:
        pin.seed()
        yield seed


@contextmanager
def deterministic(mode: Deterministic = True) -> Iterator[None]:
    """Every determinism switch of the imported libraries set to *mode*, for one block.

    Args:
        mode: True, ``"warn"`` or False, as in :func:`pinned`.

    Raises:
        ValueError: *mode* is none of these.
    """
    validate_deterministic(mode)
    with ExitStack() as stack:
        for adapter in active_adapters().values():
            stack.enter_context(adapter.deterministic(mode))
        yield
