"""Reports which random generators a block moves, and which code in it moves them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import FrameType

from pytest_repro.adapters import DrawOrigin, active_adapters
from pytest_repro.adapters._find_generators import (
    FoundGenerator,
    find_generators,
    iter_user_globals,
    walk_reachable,
)
from pytest_repro.core.compare.verdict import NotReproducible
from pytest_repro.engine.experiments.line_trace import LineMonitor
from pytest_repro.engine.runs.current_run import note_assertion
from pytest_repro.interpose.user_frames import call_origin, format_location

_Move = tuple[FoundGenerator, DrawOrigin | None, str]
"""A generator that moved, what moved it if known, and the user's line."""


@dataclass(frozen=True, slots=True)
class Draw:
    """A generator that was moved, and the code that moved it.

    Attributes:
        generator: ``"torch cpu"``, ``"random"``, ``"dataset.rng (numpy.random.Generator)"``.
        source: The module that drew, ``"model.encoder.dropout (Dropout, training)"``; ``""`` if unknown.
        location: ``"file.py:12"``, your line that drew or called what drew; ``""`` if there is none.
            Under a debugger, a coverage tool or after 20,000 lines: your forward method of the module,
            or your line that called it.
        seeding: Whether a ``DataLoader`` drew a seed for its workers and nothing else. Every iteration
            does, and no value changes by it.
    """

    generator: str
    source: str = ""
    location: str = ""
    seeding: bool = False

    def __str__(self) -> str:
        return "   ".join(filter(None, (self.generator, self.source, self.location)))


class Draws:
    """A block that records which random generators it moves.

    Covers the global generators of ``random``, numpy and torch (the CPU, and accelerators that have
    started), and every generator reachable by items and attributes from the local variables around the
    block or from globals of your modules. Misses generators created inside the block, and those of other
    threads and processes.

    Attributes:
        location: Of the block, ``"file.py:12"``.
        entries: A :class:`Draw` for each generator and each part of the code that moved it, in the order
            of first use; set when the block ends.
    """

    def __init__(self) -> None:
        self.entries: tuple[Draw, ...] = ()
        self.location = ""

    def __enter__(self) -> Draws:
        caller = sys._getframe(1)
        frame = getattr(call_origin(caller), "frame", None)
        self._recorder = _Recorder(frame if isinstance(frame, FrameType) else caller)
        self.location, self.entries = _shorten(format_location(self._recorder.frame)), ()
        return self

    def __exit__(self, *error: object) -> None:
        self.entries = self._recorder.finish()
        del self._recorder

    def __bool__(self) -> bool:
        """Whether anything but seeds for the workers of a loader was drawn."""
        return not all(draw.seeding for draw in self.entries)

    def __str__(self) -> str:
        return "\n".join(map(str, self.entries)) or "nothing was drawn"


class _Recorder:
    """Records which generators move until :meth:`finish`, from the line of *frame* on."""

    def __init__(self, frame: FrameType) -> None:
        self.frame = frame
        self._generators = find_generators(self._iter_variables())
        self._moves: dict[tuple[str, str, int, str], _Move] = {}
        self._line_monitor = LineMonitor(self._record_line)
        with ExitStack() as stack:
            for adapter in active_adapters().values():
                stack.enter_context(adapter.watch_draws(self._record_moves))
            self._recorded_states = [generator.state_key for generator in self._generators]
            self._line_states, self._lines = list(self._recorded_states), dict[tuple[int, str], None]()
            stack.enter_context(self._line_monitor.monitor(frame))
            self._stack = stack.pop_all()

    def finish(self) -> tuple[Draw, ...]:
        self._stack.close()
        self._record_moves(None)
        any_named = any(origin is not None for _, origin, _ in self._moves.values())
        named_values = list(walk_reachable(self._iter_variables())) if any_named else []
        del self._line_monitor  # it refers back: frames must not wait for the garbage collector
        return tuple(_make_draw(move, named_values) for move in self._moves.values())

    def _iter_variables(self) -> Iterator[tuple[str, object]]:
        """Local variables, then those of the module, then of the user's modules; ``@…`` are pytest's own."""
        for names in (self.frame.f_locals, self.frame.f_globals):
            yield from (each for each in list(names.items()) if not each[0].startswith(("__", "@")))
        yield from iter_user_globals()

    def _record_line(self) -> None:
        """Notes which generators the line that just ran has moved."""
        for number, generator in enumerate(self._generators):
            state = generator.state_key
            if state != self._line_states[number]:
                self._line_states[number] = state
                self._lines[number, self._line_monitor.current_line] = None

    def _record_moves(self, get_origin: Callable[[], DrawOrigin] | None) -> None:
        """Attributes the moves since the last call to their lines and to *get_origin*."""
        self._record_line()
        # A generator that was put back into its state has given no numbers.
        moved = {i for i, state in enumerate(self._line_states) if state != self._recorded_states[i]}
        origin = get_origin() if moved and get_origin is not None else None
        origin_key = ("", 0) if origin is None else (origin.path, id(origin.root))
        for number, line in self._lines:
            if number in moved:
                generator = self._generators[number]
                self._moves.setdefault((generator.name, *origin_key, line), (generator, origin, line))
        self._recorded_states, self._lines = list(self._line_states), {}


class NoDraws(Draws):
    """A :class:`Draws` that fails if a generator moved; seeding the workers of a loader is allowed."""

    def __exit__(self, *error: object) -> None:
        __tracebackhide__ = True
        super().__exit__(*error)
        if error[0] is not None:
            return
        if self:
            raise NotReproducible("\n".join(_format_failure(self)))
        note_assertion("no_draws")


def track_draws() -> Draws:
    """A context manager that records which random generators the block moves.

    For example::

        with pytest_repro.track_draws() as draws:
            model(images)
        print(draws)  # torch cpu   model.dropout (Dropout, training)   net.py:31

    ``draws.entries`` lists them, ``bool(draws)`` is whether there are any; see :class:`Draws`.
    """
    return Draws()


def assert_no_draws() -> NoDraws:
    """A context manager that fails if the block moves a random generator.

    Inference that samples is equal in all runs, since they are seeded equally: comparing runs cannot show
    it. In a marked test that records nothing else, ``no_draws`` is recorded if the block passes.

    Raises:
        NotReproducible: At the end of the block; the message names the generators, and as far as known the
            modules that moved them, whether these are in training mode, and the lines.
    """
    return NoDraws()


def _format_failure(draws: Draws) -> Iterator[str]:
    yield f"the block at {draws.location} drew random numbers\n"
    drawn = [draw for draw in draws.entries if not draw.seeding]
    width = max(len(draw.generator) for draw in drawn)
    for draw in drawn:
        origin = "   ".join(filter(None, (draw.source, draw.location)))
        yield f"  {draw.generator:<{width}}   {origin}".rstrip()
    yield ""
    in_training = [draw.source.endswith(", training)") for draw in drawn]
    if any(in_training):
        yield "  look for   a module in training mode: model.eval() before inference"
    if not all(in_training):
        label = " " * len("look for") if any(in_training) else "look for"
        yield f"  {label}   sampling, augmentation or shuffling where none should happen"


def _make_draw(move: _Move, named_values: list[tuple[str, object]]) -> Draw:
    generator, origin, location = move
    if origin is None:
        return Draw(generator.name, "", _shorten(location))
    names = (name for name, value in named_values if value is origin.root)
    source = f"{next(names, type(origin.root).__qualname__)}{origin.path} ({origin.label})"
    return Draw(generator.name, source, _shorten(location or origin.location), origin.seeding)


def _shorten(location: str) -> str:
    """*location*, relative to the working directory if inside it."""
    return location.removeprefix(os.getcwd() + os.sep)
