"""Which generators a block moves, and what in it moves them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import FrameType, TracebackType

from pytest_repro.adapters import awake
from pytest_repro.adapters._blame import Blame
from pytest_repro.adapters._seen import Seen, reached, seen, users_globals
from pytest_repro.ledger.places import line, origin


@dataclass(frozen=True, slots=True)
class Draw:
    """A generator that was moved, and by what.

    Attributes:
        generator: ``"torch cpu"``, ``"random"``, ``"dataset.rng (numpy.random.Generator)"``.
        by: ``"model.encoder.dropout (Dropout, training)"``; ``""`` where that is not known.
        location: ``"file.py:12"``: where its forward pass is written, if by you, else your line that
            called it; ``""`` where that is not known.
        seeding: Whether a ``DataLoader`` drew a seed for its workers, and nothing else: every
            iteration does, and no value changes by it.
    """

    generator: str
    by: str = ""
    location: str = ""
    seeding: bool = False

    def __str__(self) -> str:
        return "   ".join(each for each in (self.generator, self.by, self.location) if each)


class Draws:
    """Tells which random generators a block moved.

    Seen are the global generators of ``random``, numpy and torch (the CPU, and accelerators that have
    started), and every generator that the local variables around the block, or the globals of your
    modules, lead to by items and attributes. Not seen is one made inside of the block, and what other
    threads and processes hold::

        with pytest_repro.draws() as drawn:
            model(images)
        print(drawn)  # torch cpu   model.dropout (Dropout, training)   net.py:31

    Attributes:
        location: Where the block is, ``"file.py:12"``.
        found: What was moved, one :class:`Draw` for each generator and each part that moved it,
            in the order in which they were first seen to; complete once the block has ended.
    """

    __slots__ = ("_blames", "_frame", "_places", "_seen", "_stack", "found", "location")

    def __init__(self) -> None:
        self.found: tuple[Draw, ...] = ()
        self.location = ""

    def __enter__(self) -> Draws:
        self._frame = _around(sys._getframe(1))
        self.location, self.found = _short(line(self._frame)), ()
        self._seen = seen([*_variables(self._frame), *users_globals()])
        self._blames: dict[tuple[str, int, str], tuple[Seen, Blame | None]] = {}
        self._stack = ExitStack()
        try:
            for adapter in awake().values():
                self._stack.enter_context(adapter.watched(self._look))
            self._places = [each.place for each in self._seen]
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._stack.close()
        self._look(None)
        names = list(self._named())
        self.found = tuple(_draw(each, blame, names) for each, blame in self._blames.values())
        del self._frame, self._seen, self._places, self._blames, self._stack

    def _look(self, who: Callable[[], Blame] | None) -> None:
        blame: Blame | None = None
        for number, each in enumerate(self._seen):
            place = each.place
            if place == self._places[number]:
                continue
            self._places[number] = place
            if blame is None and who is not None:
                blame = who()
            key = (each.name, 0, "") if blame is None else (each.name, id(blame.root), blame.path)
            self._blames.setdefault(key, (each, blame))

    def _named(self) -> Iterator[tuple[str, object]]:
        """What variables lead to, where something drew that must be called by a name."""
        if any(blame is not None for _, blame in self._blames.values()):
            yield from reached([*_variables(self._frame), *users_globals()])

    def __bool__(self) -> bool:
        """Whether anything was drawn, but for a loader's seeds for its workers."""
        return any(not each.seeding for each in self.found)

    def __str__(self) -> str:
        return "\n".join(map(str, self.found)) or "nothing was drawn"


class NoDraws(Draws):
    """As :class:`Draws`, and fails where a generator was moved.

    An inference that samples gives equal results in every run that is seeded equally; running it
    again cannot show it. What a ``DataLoader`` draws in each iteration to seed its workers is no
    sampling, and is passed over.

    Args:
        held: Called at the end of a block that moved none.
    """

    __slots__ = ("_held",)

    def __init__(self, held: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._held = held

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        super().__exit__(kind, error, at)
        if kind is not None:
            return
        if self:
            raise AssertionError("\n".join(_failure(self)))
        self._held()


def draws() -> Draws:
    """A context that tells which random generators the block moved: see :class:`Draws`."""
    return Draws()


def no_draws() -> NoDraws:
    """A context that fails where the block moved a random generator: see :class:`NoDraws`.

    Raises:
        AssertionError: At the end of the block; the message names generators, what moved them (the
            module, and whether it is in training mode), and where that is, as far as it is known.
    """
    return NoDraws()


def _failure(draws: Draws) -> Iterator[str]:
    yield f"the block at {draws.location} drew random numbers"
    yield ""
    found = [each for each in draws.found if not each.seeding]
    width = max(len(each.generator) for each in found)
    for each in found:
        told = "   ".join(part for part in (each.by, each.location) if part)
        yield f"  {each.generator:<{width}}   {told}".rstrip()
    yield ""
    if any(each.by.endswith(", training)") for each in found):
        yield "  look for   a module in training mode: model.eval() before inference"
    else:
        yield "  look for   sampling, an augmentation or a shuffle in what should only be computed"


def _around(frame: FrameType) -> FrameType:
    """The frame of the block: the user's innermost."""
    found = origin(frame)
    return found.frame if found is not None else frame


def _variables(frame: FrameType) -> Iterator[tuple[str, object]]:
    """Local variables, then the module's; ``@…`` are pytest's own."""
    for names in (frame.f_locals, frame.f_globals):
        for name, value in list(names.items()):
            if not name.startswith(("__", "@")):
                yield name, value


def _draw(each: Seen, blame: Blame | None, names: list[tuple[str, object]]) -> Draw:
    if blame is None:
        return Draw(each.name)
    root = next((name for name, value in names if value is blame.root), type(blame.root).__qualname__)
    return Draw(each.name, f"{root}{blame.path} ({blame.what})", _short(blame.location), blame.seeding)


def _short(location: str) -> str:
    """*location* from the working folder on, where it is in there."""
    here = os.getcwd() + os.sep
    return location.removeprefix(here)
