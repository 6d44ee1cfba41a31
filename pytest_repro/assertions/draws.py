"""Which generators a block moves, and what in it moves them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import FrameType, TracebackType

from pytest_repro.adapters import DrawOrigin, active_adapters
from pytest_repro.adapters._find_generators import (
    FoundGenerator,
    find_generators,
    iter_user_globals,
    walk_reachable,
)
from pytest_repro.engine.experiments.line_trace import LineMonitor
from pytest_repro.interpose.user_frames import call_origin, format_location


@dataclass(frozen=True, slots=True)
class Draw:
    """A generator that was moved, and by what.

    Attributes:
        generator: ``"torch cpu"``, ``"random"``, ``"dataset.rng (numpy.random.Generator)"``.
        source: ``"model.encoder.dropout (Dropout, training)"``; ``""`` where that is not known.
        location: ``"file.py:12"``: your line that drew, or called what drew. Under a debugger, a coverage
            tool or after 20,000 lines: where the module's forward pass is written, if by you, else your
            line that called it; ``""`` where there is none.
        seeding: Whether a ``DataLoader`` drew a seed for its workers, and nothing else: every
            iteration does, and no value changes by it.
    """

    generator: str
    source: str = ""
    location: str = ""
    seeding: bool = False

    def __str__(self) -> str:
        return "   ".join(each for each in (self.generator, self.source, self.location) if each)


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
        entries: What was moved, one :class:`Draw` for each generator and each part that moved it,
            in the order in which they were first seen to; complete once the block has ended.
    """

    __slots__ = (
        "_frame",
        "_generators",
        "_line_monitor",
        "_line_states",
        "_lines",
        "_origins",
        "_recorded_states",
        "_stack",
        "entries",
        "location",
    )

    def __init__(self) -> None:
        self.entries: tuple[Draw, ...] = ()
        self.location = ""

    def __enter__(self) -> Draws:
        self._frame = _find_user_frame(sys._getframe(1))
        self.location, self.entries = _shorten(format_location(self._frame)), ()
        self._generators = find_generators([*_iter_variables(self._frame), *iter_user_globals()])
        self._origins: dict[tuple[str, str, int, str], tuple[FoundGenerator, DrawOrigin | None, str]] = {}
        self._stack, self._line_monitor = ExitStack(), LineMonitor(self._record_line)
        try:
            for adapter in active_adapters().values():
                self._stack.enter_context(adapter.watch_draws(self._record_moves))
            self._recorded_states = [each.state_key for each in self._generators]
            self._line_states, self._lines = list(self._recorded_states), dict[tuple[int, str], None]()
            self._stack.enter_context(self._line_monitor.monitor(self._frame))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()
        self._record_moves(None)
        names = list(self._iter_reachable())
        self.entries = tuple(_make_draw(*each, names) for each in self._origins.values())
        del self._frame, self._generators, self._recorded_states, self._origins, self._stack
        del self._line_monitor, self._line_states, self._lines

    def _record_line(self) -> None:
        """Notes which generators the line has moved that has just run."""
        for number, each in enumerate(self._generators):
            place = each.state_key
            if place != self._line_states[number]:
                self._line_states[number] = place
                self._lines[number, self._line_monitor.current_line] = None

    def _record_moves(self, get_origin: Callable[[], DrawOrigin] | None) -> None:
        """Puts down what moved since the last look, by which lines, and that *get_origin* moved it."""
        self._record_line()
        # One that was put back where it was has given nothing.
        moved = {i for i, place in enumerate(self._line_states) if place != self._recorded_states[i]}
        blame = get_origin() if moved and get_origin is not None else None
        whose = ("", 0) if blame is None else (blame.path, id(blame.root))
        for number, at in self._lines:
            if number in moved:
                each = self._generators[number]
                self._origins.setdefault((each.name, *whose, at), (each, blame, at))
        self._recorded_states, self._lines = list(self._line_states), {}

    def _iter_reachable(self) -> Iterator[tuple[str, object]]:
        """What variables lead to, where something drew that must be called by a name."""
        if any(blame is not None for _, blame, _ in self._origins.values()):
            yield from walk_reachable([*_iter_variables(self._frame), *iter_user_globals()])

    def __bool__(self) -> bool:
        """Whether anything was drawn, but for a loader's seeds for its workers."""
        return any(not each.seeding for each in self.entries)

    def __str__(self) -> str:
        return "\n".join(map(str, self.entries)) or "nothing was drawn"


class NoDraws(Draws):
    """As :class:`Draws`, and fails where a generator was moved.

    An inference that samples gives equal results in every run that is seeded equally; running it
    again cannot show it. What a ``DataLoader`` draws in each iteration to seed its workers is no
    sampling, and is passed over.

    Args:
        on_success: Called at the end of a block that moved none.
    """

    __slots__ = ("_on_success",)

    def __init__(self, on_success: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._on_success = on_success

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        super().__exit__(exc_type, exc_value, traceback)
        if exc_type is not None:
            return
        if self:
            raise AssertionError("\n".join(_format_failure(self)))
        self._on_success()


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


def _format_failure(draws: Draws) -> Iterator[str]:
    yield f"the block at {draws.location} drew random numbers"
    yield ""
    found = [each for each in draws.entries if not each.seeding]
    width = max(len(each.generator) for each in found)
    for each in found:
        told = "   ".join(part for part in (each.source, each.location) if part)
        yield f"  {each.generator:<{width}}   {told}".rstrip()
    yield ""
    training = [each for each in found if each.source.endswith(", training)")]
    if training:
        yield "  look for   a module in training mode: model.eval() before inference"
    if len(training) < len(found):
        called = " " * len("look for") if training else "look for"
        yield f"  {called}   sampling, an augmentation or a shuffle in what should only be computed"


def _find_user_frame(frame: FrameType) -> FrameType:
    """The frame of the block: the user's innermost."""
    found = call_origin(frame)
    return found.frame if found is not None else frame


def _iter_variables(frame: FrameType) -> Iterator[tuple[str, object]]:
    """Local variables, then the module's; ``@…`` are pytest's own."""
    for names in (frame.f_locals, frame.f_globals):
        for name, value in list(names.items()):
            if not name.startswith(("__", "@")):
                yield name, value


def _make_draw(
    generator: FoundGenerator,
    draw_origin: DrawOrigin | None,
    location: str,
    named_values: list[tuple[str, object]],
) -> Draw:
    if draw_origin is None:
        return Draw(generator.name, "", _shorten(location))
    root = next(
        (name for name, value in named_values if value is draw_origin.root),
        type(draw_origin.root).__qualname__,
    )
    return Draw(
        generator.name,
        f"{root}{draw_origin.path} ({draw_origin.label})",
        _shorten(location or draw_origin.location),
        draw_origin.seeding,
    )


def _shorten(location: str) -> str:
    """*location* from the working folder on, where it is in there."""
    here = os.getcwd() + os.sep
    return location.removeprefix(here)
