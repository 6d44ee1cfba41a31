"""Pins what can be pinned: the seed of every generator, every determinism switch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

from pytest_repro.adapters import Adapter, active_adapters
from pytest_repro.axes import apply_setting, get_axis
from pytest_repro.core.plan.arguments import validate_deterministic, validate_seed
from pytest_repro.core.plan.plan import REPEAT, Cell, Deterministic
from pytest_repro.core.runs.run import RunSpec
from pytest_repro.engine.runs.generator_states import (
    OutsideStates,
    are_generators_used,
    read_generator_states,
)
from pytest_repro.engine.runs.run_source import suspend
from pytest_repro.interpose.imports import guard_imports
from pytest_repro.interpose.seeding import observers, pause_observers, report_seeding


class Pin:
    """Seeds generators, sets determinism switches and applies axes for runs, and restores all of them.

    A library that is imported while the pin holds is pinned from the next :meth:`seed` on.

    Args:
        seed: Given to every generator until :meth:`prepare_run` is called, 0 … 2**32 - 1.
        deterministic: Mode of deterministic algorithms, likewise.
        track_generators: Whether :attr:`generators_used` is known; also :attr:`generators_are_tracked`.
    """

    def __init__(
        self, seed: int = 0, deterministic: Deterministic = True, track_generators: bool = False
    ) -> None:
        self._spec = RunSpec(Cell(), 0, seed, deterministic)
        self._stack, self._run_stack, self._outside_states = ExitStack(), ExitStack(), OutsideStates()
        self._applied_setting: Mapping[str, object] | None = {}
        self._open_input: Callable[[], AbstractContextManager[None]] | None = None
        self._axis_used, self._pinned_libraries = False, set[str]()
        self._axis_state: object = None
        self.generators_are_tracked, self._generator_states = track_generators, list[object]()
        self._module_count: int | None = None

    def prepare_run(
        self, spec: RunSpec, open_input: Callable[[], AbstractContextManager[None]] | None = None
    ) -> None:
        """Holds *spec* from the next :meth:`seed` on.

        Suspects are suspended afresh for each run, so that each meets the same: a frozen clock begins
        at the same instant.

        Args:
            spec: The next run.
            open_input: Returns a context that replays external input to the run.
        """
        before, self._spec = self._spec, spec
        if self._pinned_libraries:
            self._outside_states.rewind()
        if self._pinned_libraries and before.deterministic != spec.deterministic:
            self.release()
        if spec.suspended or before.suspended or open_input or self._open_input:
            self._applied_setting = None
        self._open_input = open_input
        self._axis_used, self._axis_state, self._generator_states, self._module_count = False, None, [], None

    def seed(self) -> None:
        """Seeds every generator, and pins what is not pinned yet."""
        is_varied, adapters = self._spec.cell.axis != REPEAT, active_adapters()
        self._axis_used = is_varied and self.axis_generators_used
        is_pinned = self._pinned_libraries.issuperset(adapters)
        if not is_pinned or self._applied_setting != self._spec.cell.setting:
            self._apply_pins(adapters)
        with report_seeding(adapters) if observers else nullcontext():
            for adapter in adapters.values():
                adapter.seed(self._spec.seed)
        self._axis_state = self._read_axis_state() if is_varied else None
        if self.generators_are_tracked:
            self._generator_states = read_generator_states()
        if self._module_count is None:
            self._module_count = len(sys.modules)

    @property
    def axis_generators_used(self) -> bool:
        """Whether, since :meth:`prepare_run`, numbers were drawn that differ at other values of the axis."""
        return self._axis_used or (
            self._axis_state is not None and self._axis_state != self._read_axis_state()
        )

    @property
    def generators_used(self) -> bool:
        """Whether a global generator was drawn from since the last :meth:`seed`; False if not tracked."""
        return bool(self._generator_states) and self._generator_states != read_generator_states()

    def _read_axis_state(self) -> object:
        return get_axis(self._spec.cell.axis).get_generator_states()

    def _apply_pins(self, adapters: Mapping[str, Adapter]) -> None:
        self._release_run()  # libraries are pinned below the axes, and restored after them
        new = {name: each for name, each in adapters.items() if name not in self._pinned_libraries}
        if not self._pinned_libraries:
            self._stack.enter_context(guard_imports(self._leave))
        for name, adapter in new.items():
            self._pinned_libraries.add(name)
            self._outside_states.save(name, adapter)  # first: an interrupt leaves nothing to restore
            self._stack.callback(self._outside_states.restore, name)
        for adapter in new.values():
            self._stack.enter_context(adapter.deterministic(self._spec.deterministic))
        if self._spec.cell.setting:
            self._run_stack.enter_context(apply_setting(self._spec.cell.setting))
        if self._open_input is not None:
            self._run_stack.enter_context(self._open_input())
        if self._spec.suspended:
            self._run_stack.enter_context(suspend(self._spec))
        self._applied_setting = self._spec.cell.setting

    def end_run(self) -> None:
        """Undoes what belongs to one run (its setting, its suspended suspects) until the next."""
        self._applied_setting = None
        self._run_stack.close()

    def _release_run(self) -> None:
        self._applied_setting = {}
        self._run_stack.close()

    def release(self) -> None:
        """Restores everything as it was before the first :meth:`seed`."""
        if not self._pinned_libraries:
            return
        libraries = self._pinned_libraries.copy()
        with report_seeding(libraries, "restores") if observers else nullcontext(), self._stack:
            self._pinned_libraries.clear()
            self._release_run()

    @property
    def is_settled(self) -> bool:
        """Whether the run counts: each library was imported before it was seeded."""
        if not self._pinned_libraries:
            return True
        # What appears without an import may have drawn, in the first run only.
        has_new_module = self._module_count is not None and len(sys.modules) > self._module_count
        if has_new_module and are_generators_used(self._spec.seed):
            return False
        return self._pinned_libraries.issuperset(active_adapters())

    @contextmanager
    def pin_imported(self) -> Iterator[None]:
        """Pins the libraries that the block, of this package, imports for a test, so that the run counts.

        Not while clocks or external input are replaced: they would begin again.
        """
        were_used = self.generators_used
        yield
        if not self._pinned_libraries or self._open_input or self._spec.suspended:
            return
        adapters = active_adapters()
        new = [adapter for name, adapter in adapters.items() if name not in self._pinned_libraries]
        self._apply_pins(adapters)
        for adapter in new:
            adapter.seed(self._spec.seed)
        if self.generators_are_tracked and not were_used:
            self._generator_states = read_generator_states()
        self._module_count = max(self._module_count or 0, len(sys.modules))

    @contextmanager
    def unpinned(self) -> Iterator[None]:
        """Releases the pin for a block, and restores the pinned state after it.

        What the block does to generators and switches outlives the pin.
        """
        if not self._pinned_libraries:
            yield
            return
        inside = [each.save_global_states() for each in active_adapters().values() if each.has_readable_state]
        with pause_observers():
            self.release()
            try:
                # An experiment may make a session fixture in each process.
                with self._count_modules(), suspend(self._spec):
                    yield
            finally:
                self.seed()
                for restore in inside:
                    restore()

    @contextmanager
    def _leave(self) -> Iterator[None]:
        """The block imports a module."""
        with pause_observers() if observers else nullcontext(), ExitStack() as stack:
            for adapter in self._outside_states.adapters.values():
                stack.enter_context(adapter.leave_switches(self._spec.cell.setting))
            stack.enter_context(self._outside_states.swap())
            stack.enter_context(self._count_modules())
            yield

    @contextmanager
    def _count_modules(self) -> Iterator[None]:
        before = len(sys.modules)
        try:
            yield
        finally:
            if self._module_count is not None:
                self._module_count += len(sys.modules) - before

    def __enter__(self) -> Pin:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()


@contextmanager
def pinned(seed: int = 0, deterministic: Deterministic = True) -> Iterator[int]:
    """Seeds every generator and sets every determinism switch for a block.

    Restores all of it to the bit, also after an exception and on Ctrl-C.

    Args:
        seed: 0 … 2**32 - 1, given to each imported library as it is.
        deterministic: True; ``"warn"``: ops without a deterministic implementation warn instead of
            raising; False: deterministic algorithms off.

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
    """Sets every determinism switch of the imported libraries to *mode* for a block.

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
