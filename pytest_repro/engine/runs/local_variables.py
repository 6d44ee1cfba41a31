"""Local variables of a function at its end, without the cost of tracing.

The frame is kept at the first call of the function's own code, by a watcher that removes itself
at once, so the body runs unobserved. A frame that is still referenced keeps its locals after it
returns. From Python 3.12 on, ``sys.monitoring`` watches this one code object (3 µs); before, a
profile function is called for every call until then (0.2 µs each), and works beside coverage.
"""

from __future__ import annotations

import inspect
import re
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from types import CodeType, FrameType
from typing import Any

from pytest_repro.adapters import explain_alternative
from pytest_repro.core.runs.assignments import find_inputs
from pytest_repro.core.runs.pytree import DURATION, SkippedValue, is_duration
from pytest_repro.core.text import escape_unprintable

_RESULTS = (int, float, complex, str, bytes, bytearray, set, frozenset)
_RESULTS += (Decimal, Fraction, date, time, timedelta, array)  # type: ignore[assignment]
_TOOLS = (
    "_pytest.",
    "pytest.",
    "pluggy.",
    "pytest_repro.",
    "unittest.",
    "torch.utils.data.",
    "numpy.dtypes.",
    "pandas.core.dtypes.",
    "polars.datatypes.",
)
_SETTINGS = (
    "torch.device",
    "torch.dtype",
    "torch.layout",
    "torch.memory_format",
    "numpy.random.SeedSequence",
)
# The package test of the standard library has the name of many folders of tests.
_STANDARD_LIBRARY = sys.stdlib_module_names - {"test"}


def find_code(function: Callable[..., Any] | None) -> CodeType | None:
    """The code of the user's function below its decorators; None if there is none."""
    if function is None:
        return None
    plain = getattr(function, "__func__", function)
    plain = inspect.unwrap(plain) if hasattr(plain, "__wrapped__") else plain  # unwrap() takes 2 µs
    code = getattr(plain, "__code__", None)
    return code if isinstance(code, CodeType) else None


def start_keeping_frame(code: CodeType | None, frames: list[FrameType]) -> Callable[[], None]:
    """Appends the frame of the first call of *code* to *frames*; before Python 3.12, in this thread.

    Returns:
        Stops watching for the call.
    """
    # A function without variables has nothing to keep, and a profile function takes 14 µs.
    has_variables = code is not None and (code.co_nlocals or code.co_cellvars or code.co_freevars)
    return _watch(code, frames) if code is not None and has_variables else _do_nothing


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


USES_PROFILER = sys.version_info < (3, 12)
_watch = _watch_with_profiler if USES_PROFILER else _watch_with_monitoring


def iter_locals(frame: FrameType) -> Iterator[tuple[str, object]]:
    """Names and values of a finished frame's local variables, in order of their first mention.

    Skips pytest's own, whose names start with ``@`` (assertion rewriting).
    """
    for name, value in frame.f_locals.items():
        if not name.startswith("@"):
            yield name, value


def _is_result(value: object) -> bool:
    """Whether *value* may be something that a test computed: data, or an object that holds some."""
    kind = type(value)
    if value is None or issubclass(kind, (Enum, PurePath)):
        return False
    if issubclass(kind, _RESULTS):
        return True
    modules = [f"{each.__module__}." for each in kind.__mro__]
    if kind.__module__.partition(".")[0] in _STANDARD_LIBRARY or hasattr(kind, "__next__"):
        return False
    if f"{kind.__module__}.{kind.__qualname__}" in _SETTINGS or any(m.startswith(_TOOLS) for m in modules):
        return False
    # Jitted functions have a name like plain ones, models that can be called have none.
    return not callable(value) or inspect.getattr_static(value, "__name__", None) is None


def describe_skipped(
    name: str, value: object, skipped: Sequence[SkippedValue], is_whole: bool, code: CodeType
) -> Iterator[tuple[str, str]]:
    """What of the local variable *name* is not compared, and what to record instead, if it is not that.

    Args:
        name: Its name.
        value: Its value.
        skipped: The parts that are not compared.
        is_whole: Whether no other part is.
        code: The code of the test: what it does not compute counts only if it could have been compared.
    """
    found = [each for each in skipped if each.reason or _is_result(each.value)]
    if not found or name.startswith("_"):
        return
    if name in find_inputs(code) and not any(each.reason for each in found):
        return
    for path, part, reason in found[:1] if is_whole else found:
        where, shown = ("", value) if is_whole else (re.sub(r"\[\d+\]", "[…]", path), part)
        reason = DURATION if is_duration(name + path) else reason
        advice = reason or ("" if isinstance(part, _RESULTS) else explain_alternative(part))
        yield f"{escape_unprintable(name + where)} ({_name_type(shown)})", advice


def _name_type(value: Any) -> str:
    """The type of *value*; of a part that an adapter made, the type of what it holds."""
    while type(value).__module__.startswith("pytest_repro.adapters."):
        value = next(iter(vars(value).values())) if hasattr(value, "__dict__") else value[0]
    return type(value).__name__
