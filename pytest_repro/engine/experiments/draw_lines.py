"""Finds the lines that draw from global generators which nothing in the test has seeded."""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from pytest_repro.core.runs.run import UnseededDraw
from pytest_repro.engine.experiments.line_trace import MAX_LINES, LineMonitor
from pytest_repro.engine.runs.generator_states import DrawWatch, name_generator
from pytest_repro.interpose.code_owner import classify_code
from pytest_repro.interpose.user_frames import (
    classify_frame,
    format_location,
    get_module_name,
    read_call_source,
)

_MAX_LINES, _MAX_CALLS = 2_000, 20_000
"""Most lines, and calls of libraries, that are traced in a run that counts: 50 ms each."""


class DrawLines:
    """Watches one run line by line.

    Args:
        seed: That everything is seeded with.
        wanted: Of a run that counts: the libraries of which a line is looked for, and no longer. It takes the
            place of no debugger or coverage tool.

    Attributes:
        watch: Which libraries the run drew from.
        draws: Where, in order.
    """

    def __init__(self, seed: int, wanted: Collection[str] = ()) -> None:
        self._wanted, self._calls_left = set(wanted), _MAX_CALLS if wanted else sys.maxsize
        self._counts = bool(wanted)
        self.watch, self.draws = DrawWatch(seed, self._note_draw), list[UnseededDraw]()
        self._monitor = LineMonitor(self.watch.check)
        self._library_frame: FrameType | None = None

    @contextmanager
    def watch_phase(self, is_setup: bool) -> Iterator[None]:
        """Watches the set-up or the body, instead of a debugger or a coverage tool."""
        if is_setup:
            self.draws.clear()
        if self._counts and (not self._wanted or sys.gettrace() is not None):
            yield
            return
        self._library_frame = None
        max_lines = _MAX_LINES if self._counts else MAX_LINES
        self._monitor = LineMonitor(self.watch.check, self._enter_library, max_lines)
        previous: Any = sys.gettrace()
        sys.settrace(None)
        try:
            with self.watch.watch(is_setup, is_setup), self._monitor.monitor(None):
                yield
        finally:
            if not self._counts:  # a debugger may have started
                sys.settrace(previous)
            self._library_frame = None

    def _note_draw(self, library: str) -> None:
        location, frame = self._monitor.current_line, self._library_frame
        is_direct = frame is None or frame.f_back is None or format_location(frame.f_back) != location
        via = "" if frame is None or is_direct else name_called_function(frame)
        path, _, line = location.rpartition(":")
        source = linecache.getline(path, int(line)).strip() if line else ""
        draw = UnseededDraw(name_generator(library), location, via, source)
        if draw not in self.draws:
            self.draws.append(draw)
        if library in self._wanted:
            self._wanted.discard(library)
            if not self._wanted:
                sys.settrace(None)

    def _enter_library(self, frame: FrameType) -> Callable[..., Any] | None:
        caller, self._calls_left = frame.f_back, self._calls_left - 1
        if not self._calls_left:
            sys.settrace(None)
        # Not the standard library: random.shuffle() is the draw, Thread.start() runs code of the user's.
        if caller is None or classify_frame(caller) != "user" or classify_frame(frame) != "library":
            return None
        self.watch.check()
        self._library_frame, frame.f_trace_lines = frame, False
        return self._leave_library

    def _leave_library(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "return":
            self.watch.check()
            self._library_frame = None
        return self._leave_library

    def collect_draws(self, root: str, other: DrawWatch | None) -> tuple[UnseededDraw, ...]:
        """The draws of the run; those whose line is unknown come last.

        Args:
            root: Locations are relative to this folder.
            other: Of a run with another seed: a generator that ends a phase in the same state has a seed of
                the test's, which it took in a way that cannot be watched.
        """
        seeded = set[str]()
        if other is not None:
            seeded |= _find_equal(self.watch.set_up_states, other.set_up_states)
            seeded |= _find_equal(self.watch.body_states, other.body_states)
        names = [name_generator(library) for library in self.watch.libraries if library not in seeded]
        draws = [
            draw._replace(location=draw.location.removeprefix(f"{root}{os.sep}"))
            for draw in self.draws
            if draw.location and draw.generator in names
        ]
        located = {draw.generator for draw in draws}
        return (*draws, *(UnseededDraw(name) for name in names if name not in located))


def _find_equal(one: Mapping[str, object], other: Mapping[str, object]) -> set[str]:
    return {name for name, state in one.items() if name in other and other[name] == state}


def name_called_function(frame: FrameType) -> str:
    """How users write what *frame* runs: ``sklearn.model_selection.train_test_split``."""
    code, variables = frame.f_code, frame.f_locals
    source = read_call_source(frame.f_back) if frame.f_back is not None else ""
    for name in code.co_freevars:  # of a decorator's wrapper: what it wraps
        wrapped: Any = variables.get(name)
        if callable(wrapped) and str(getattr(wrapped, "__name__", "?")) in source:
            return _shorten(wrapped.__module__, wrapped.__qualname__)
    kind: type = type(variables.get(code.co_varnames[0])) if code.co_argcount else type(None)
    is_method = hasattr(kind, code.co_name) and code.co_varnames[0] == "self"
    file = str(getattr(sys.modules.get(kind.__module__), "__file__", None) or "")
    if is_method and classify_code(file, kind.__module__) == "library":
        return _shorten(kind.__module__, f"{kind.__qualname__}.{code.co_name}")
    return _shorten(get_module_name(frame), getattr(code, "co_qualname", code.co_name))


def _shorten(module: str, name: str) -> str:
    """*name* in the outermost package that has it, without private parts: ``torch.nn.Linear``."""
    parts: Sequence[str] = module.split(".")
    first, *rest = name.split(".")
    for count in range(1, len(parts)):
        package = sys.modules.get(".".join(parts[:count]))
        found = vars(package).get(first) if package is not None else None
        if found is not None and getattr(found, "__module__", None) == module:
            parts = parts[:count]
            break
    public = [part for part in (first, *rest) if not part.startswith("_")]
    return ".".join([*parts, *public])
