"""Local variables of a function at its end, without the cost of tracing.

The frame is kept at the first call of the function's own code, by a watcher that removes itself
at once, so the body runs unobserved. A frame that is still referenced keeps its locals after it
returns. From Python 3.12 on, ``sys.monitoring`` watches this one code object (3 µs); before, a
profile function is called for every call until then (0.2 µs each), and works beside coverage.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FrameType
from typing import Any


def find_code(function: Callable[..., Any] | None) -> CodeType | None:
    """The code of the user's function below its decorators; None if there is none."""
    if function is None:
        return None
    plain = inspect.unwrap(getattr(function, "__func__", function))
    code = getattr(plain, "__code__", None)
    return code if isinstance(code, CodeType) else None


def start_keeping_frame(code: CodeType | None, frames: list[FrameType]) -> Callable[[], None]:
    """Appends the frame of the first call of *code* to *frames*; before Python 3.12, in this thread.

    Returns:
        Stops watching for the call.
    """
    return _watch(code, frames) if code is not None else _do_nothing


def _do_nothing() -> None:
    """Stops a watcher that never started."""


def _watch_with_profiler(code: CodeType, frames: list[FrameType]) -> Callable[[], None]:
    before: Any = sys.getprofile()
    if not (before is None or callable(before) or hasattr(before, "enable")):
        return _do_nothing  # a profiler that could not be restored is left alone

    def profile(frame: FrameType, event: str, _: object) -> None:
        if frame.f_code is code and event == "call":
            _restore_profiler(before)
            frames.append(frame)

    def stop() -> None:
        if sys.getprofile() is profile:
            _restore_profiler(before)

    sys.setprofile(profile)
    return stop


def _restore_profiler(previous: Any) -> None:
    """Restores *previous*; cProfile's profiler is not a function and is enabled instead."""
    if previous is not None and not callable(previous):
        sys.setprofile(None)
        previous.enable()
    else:
        sys.setprofile(previous)


def _watch_with_monitoring(code: CodeType, frames: list[FrameType]) -> Callable[[], None]:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
    tool = next((t for t in (4, 3) if monitoring.get_tool(t) is None), None)
    if tool is None:  # both tools that are free for all are in use
        return _watch_with_profiler(code, frames)

    def on_start(started_code: CodeType, _: int) -> object:
        if not frames:
            frames.append(sys._getframe(1))
        return monitoring.DISABLE

    monitoring.use_tool_id(tool, "pytest-repro")
    monitoring.register_callback(tool, monitoring.events.PY_START, on_start)
    monitoring.set_local_events(tool, code, monitoring.events.PY_START)

    def stop() -> None:
        monitoring.set_local_events(tool, code, 0)
        monitoring.register_callback(tool, monitoring.events.PY_START, None)
        monitoring.free_tool_id(tool)

    return stop


_watch = _watch_with_monitoring if sys.version_info >= (3, 12) else _watch_with_profiler


def iter_locals(frame: FrameType) -> Iterator[tuple[str, object]]:
    """Names and values of a finished frame's local variables, in order of their first mention.

    Skips pytest's own, whose names start with ``@`` (assertion rewriting).
    """
    for name, value in frame.f_locals.items():
        if not name.startswith("@"):
            yield name, value


def describe_plain_variables(variables: Iterable[tuple[str, object]], limit: int = 4) -> tuple[str, ...]:
    """Names and types of the numbers and texts among *variables*, which the user may have meant."""
    plain = (int, float, complex, str, bytes, list, dict)
    found = [f"{name} ({type(value).__name__})" for name, value in variables if isinstance(value, plain)]
    return tuple(found[:limit])
