"""Which generators a block moves, and what in it moves them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import FrameType, TracebackType

from pytest_repro.adapters import awake
from pytest_repro.adapters._draw_origin import Blame
from pytest_repro.adapters._find_generators import Seen, reached, seen, users_globals
from pytest_repro.engine.experiments.line_monitor import Followed
from pytest_repro.interpose.user_frames import line, origin


@dataclass(frozen=True, slots=True)
class Draw:
    """A generator that was moved, and by what.

    Attributes:
        generator: ``"torch cpu"``, ``"random"``, ``"dataset.rng (numpy.random.Generator)"``.
        by: ``"model.encoder.dropout (Dropout, training)"``; ``""`` where that is not known.
        location: ``"file.py:12"``: your line that drew, or called what drew. Under a debugger, a coverage
            tool or after 20,000 lines: where the module's forward pass is written, if by you, else your
            line that called it; ``""`` where there is none.
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

    __slots__ = (
        "_blames",
        "_follows",
        "_frame",
        "_lines",
        "_passed",
        "_places",
        "_seen",
        "_stack",
        "found",
        "location",
    )

    def __init__(self) -> None:
        self.found: tuple[Draw, ...] = ()
        self.location = ""

    def __enter__(self) -> Draws:
        self._frame = _around(sys._getframe(1))
        self.location, self.found = _short(line(self._frame)), ()
        self._seen = seen([*_variables(self._frame), *users_globals()])
        self._blames: dict[tuple[str, str, int, str], tuple[Seen, Blame | None, str]] = {}
        self._stack, self._follows = ExitStack(), Followed(self._pass)
        try:
            for adapter in awake().values():
                self._stack.enter_context(adapter.watched(self._look))
            self._places = [each.place for each in self._seen]
            self._passed, self._lines = list(self._places), dict[tuple[int, str], None]()
            self._stack.enter_context(self._follows.around(self._frame))
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
        self.found = tuple(_draw(*each, names) for each in self._blames.values())
        del self._frame, self._seen, self._places, self._blames, self._stack
        del self._follows, self._passed, self._lines

    def _pass(self) -> None:
        """Notes which generators the line has moved that has just run."""
        for number, each in enumerate(self._seen):
            place = each.place
            if place != self._passed[number]:
                self._passed[number] = place
                self._lines[number, self._follows.now] = None

    def _look(self, who: Callable[[], Blame] | None) -> None:
        """Puts down what moved since the last look, by which lines, and that *who* moved it."""
        self._pass()
        # One that was put back where it was has given nothing.
        moved = {i for i, place in enumerate(self._passed) if place != self._places[i]}
        blame = who() if moved and who is not None else None
        whose = ("", 0) if blame is None else (blame.path, id(blame.root))
        for number, at in self._lines:
            if number in moved:
                each = self._seen[number]
                self._blames.setdefault((each.name, *whose, at), (each, blame, at))
        self._places, self._lines = list(self._passed), {}

    def _named(self) -> Iterator[tuple[str, object]]:
        """What variables lead to, where something drew that must be called by a name."""
        if any(blame is not None for _, blame, _ in self._blames.values()):
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
            module, and whether it is in training mode), and the lines, as far as they are known.
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
    training = [each for each in found if each.by.endswith(", training)")]
    if training:
        yield "  look for   a module in training mode: model.eval() before inference"
    if len(training) < len(found):
        called = " " * len("look for") if training else "look for"
        yield f"  {called}   sampling, an augmentation or a shuffle in what should only be computed"


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


def _draw(each: Seen, blame: Blame | None, at: str, names: list[tuple[str, object]]) -> Draw:
    if blame is None:
        return Draw(each.name, "", _short(at))
    root = next((name for name, value in names if value is blame.root), type(blame.root).__qualname__)
    return Draw(each.name, f"{root}{blame.path} ({blame.what})", _short(at or blame.location), blame.seeding)


def _short(location: str) -> str:
    """*location* from the working folder on, where it is in there."""
    here = os.getcwd() + os.sep
    return location.removeprefix(here)
