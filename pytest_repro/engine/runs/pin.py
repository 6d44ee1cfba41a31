"""Holds what can be held: every generator at a seed, every switch at deterministic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import TracebackType

from pytest_repro.adapters import awake, seed_all
from pytest_repro.axes import applied, named
from pytest_repro.core.plan.cell import REPEAT, Cell
from pytest_repro.core.plan.plan import Deterministic, checked_deterministic, checked_seed


class Pin:
    """Holds generators, switches and the setting of a run; restores all of them when it lets go.

    A library that is imported while the pin holds is held from the next :meth:`seed` on.

    Args:
        seed: Given to every generator, 0 … 2**32 - 1.
        deterministic: Deterministic algorithms: True, False or ``"warn"``.

    Attributes:
        mode: Of deterministic algorithms.
        counting: Whether is looked at whether generators are asked.
    """

    def __init__(self, seed: int, deterministic: Deterministic = True) -> None:
        self._seed, self.mode = seed, deterministic
        self._stack, self._axes = ExitStack(), ExitStack()
        self._held: set[str] = set()
        self._setting: Mapping[str, object] = {}
        self._applied: Mapping[str, object] | None = {}
        self._suspended: Sequence[str] = ()
        self._feeding: Callable[[], AbstractContextManager[None]] | None = None
        self._axis, self._drew = REPEAT, False
        self._other: int | None = None
        self.counting = False
        self._stood: list[object] = []
        self._drawn: object = None

    def vary(self, cell: Cell, suspended: Sequence[str] = (), seed: int | None = None) -> None:
        """Sets the axes as *cell* says, from the next :meth:`seed` on.

        Args:
            cell: Under what the next run is made.
            suspended: Suspects that cannot act meanwhile, by name; they are suspended anew, so that
                each run meets the same: a frozen clock begins at the same instant.
            seed: Of a run that is given another one.
        """
        self._other, self._stood = seed, []
        if suspended or self._suspended:
            self._applied = None
        self._setting, self._suspended = cell.setting, suspended
        self._axis, self._drawn, self._drew = cell.axis, None, False

    def feed(self, feeding: Callable[[], AbstractContextManager[None]] | None) -> None:
        """Has the run that begins with the next :meth:`seed` fed, in contexts that *feeding* makes."""
        if feeding or self._feeding:
            self._applied = None
        self._feeding = feeding

    def seed(self) -> None:
        """Seeds every generator, and holds what is not held yet."""
        self._drew = self.drew
        found = awake()
        if self._applied != self._setting or not self._held.issuperset(found):
            self._hold()
        for adapter in found.values():
            adapter.seed(self._seed if self._other is None else self._other)
        self._drawn = self._stand()
        self._stood = _standing() if self.counting else []

    @property
    def drew(self) -> bool:
        """Whether, since :meth:`vary`, numbers were drawn that differ at other values of the axis."""
        return self._drew or (self._drawn is not None and self._drawn != self._stand())

    @property
    def asked(self) -> bool:
        """Whether a generator was asked since the last :meth:`seed`, where that is looked at."""
        return bool(self._stood) and self._stood != _standing()

    def _stand(self) -> object:
        return None if self._axis == REPEAT else named(self._axis).drawn()

    def _hold(self) -> None:
        self._let_axes_go()  # what is held comes below them, and is restored after them
        for name, adapter in awake().items():
            if name not in self._held:
                self._held.add(name)
                self._stack.callback(adapter.states())
                self._stack.enter_context(adapter.deterministic(self.mode))
        self._axes.enter_context(applied(self._setting))
        if self._feeding is not None:
            self._axes.enter_context(self._feeding())
        if self._suspended:
            from pytest_repro.engine.diagnose.suspects import suspension

            self._axes.enter_context(suspension(self._suspended, self._seed))
        self._applied = self._setting

    def rest(self) -> None:
        """Lets go of what each run has for itself, its setting and what is suspended, until the next."""
        self._applied = None
        self._axes.close()

    def _let_axes_go(self) -> None:
        self._applied = {}
        self._axes.close()

    def release(self) -> None:
        """Restores everything as it was before the first :meth:`seed`."""
        self._held.clear()
        try:
            self._let_axes_go()
        finally:
            self._stack.close()

    @property
    def complete(self) -> bool:
        """Whether no library was imported since the last seeding: a newcomer's generator is unseeded."""
        return not self._held or self._held.issuperset(awake())

    @contextmanager
    def let_go(self) -> Iterator[None]:
        """The world as it is without the pin, for a block; then the pinned world as it was.

        What the block does to generators and switches outlives the pin.
        """
        if not self._held:
            yield
            return
        inside = [adapter.states() for adapter in awake().values()]
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
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.release()


def _standing() -> list[object]:
    """Where every global generator stands."""
    return [adapter.stands() for adapter in awake().values()]


@contextmanager
def seeded_apart(seed: int) -> Iterator[None]:
    """Every generator seeded for a block; afterwards they stand where they stood before.

    Args:
        seed: 0 … 2**32 - 1.
    """
    before = [adapter.states() for adapter in awake().values()]
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
    with Pin(checked_seed(seed), checked_deterministic(deterministic)) as pin:
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
    checked_deterministic(mode)
    with ExitStack() as stack:
        for adapter in awake().values():
            stack.enter_context(adapter.deterministic(mode))
        yield
