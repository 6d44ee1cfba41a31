"""Logs the calls that a block makes to the outside world, with file and line."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from itertools import count
from types import ClassMethodDescriptorType, FrameType, ModuleType
from typing import Any, Literal, NamedTuple

from pytest_repro.core.diagnose import ExternalCall
from pytest_repro.interpose import user_frames
from pytest_repro.interpose.patch import Patch, make_patch, patch_everywhere, real_id
from pytest_repro.interpose.proxy_class import make_proxy_class
from pytest_repro.interpose.user_frames import classify_frame, get_module_name
from pytest_repro.interpose.workers import WorkerCalls, is_worker

Reach = Literal["line", "library", "all"]

Condition = Callable[..., bool]
"""Called with the arguments of a call; returns whether that call is evidence."""
_IMMUTABLE = 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE: a class in C, whose attributes cannot be set


class WatchedFunction(NamedTuple):
    """A function whose calls are evidence, and how to explain a call.

    Attributes:
        function: Its module and its name there: ``"time:time"``, ``"random:Random.__init__"``.
        effect: What a call does, as it continues the call's name: ``"reads the clock"``.
        fix: What to do instead.
        label: How messages name it; ``""`` for its module and name.
        when: Decides by the arguments whether a call counts.
        reach: Whose calls count: those of the user's own ``"line"``, also those of an installed
            ``"library"``, or ``"all"``, with those of the standard library.
        names: For a hook that several C functions call: their names. The name in the calling code
            replaces ``{}`` in *label*. A name with ``()`` counts only without arguments.
        suspendable: Whether suspending the cause keeps such a call from making runs differ.
        repeated_fix: What to do instead if one line calls it many times; ``""`` for *fix*.
    """

    function: str
    effect: str
    fix: str
    label: str = ""
    when: Condition | None = None
    reach: Reach = "library"
    names: frozenset[str] = frozenset()
    suspendable: bool = True
    repeated_fix: str = ""

    @property
    def display_name(self) -> str:
        """How messages name it: ``time.time()``."""
        return self.label or f"{self.function.replace(':', '.')}()"

    def matches(self, label: str) -> bool:
        """Whether this entry is about calls named *label*."""
        return label == self.display_name or label in {
            self.display_name.format(name.removesuffix("()")) for name in (*self.names, "*")
        }

    def find_attribute(self) -> tuple[Any, str] | None:
        """The object that holds the function, and the name of its attribute.

        None if its library is not imported, or if the installed version lacks it.
        """
        module_name, _, path = self.function.partition(":")
        *owner_names, name = path.split(".")
        module = sys.modules.get(module_name)
        owner = reduce(lambda each, name: getattr(each, name, None), owner_names, module)
        return (owner, name) if isinstance(module, ModuleType) and hasattr(owner, name) else None

    def counts_call(self, frame: FrameType) -> bool:
        """Whether a call that *frame* makes counts, by the owner of its code; the library's own do not."""
        frame = user_frames.skip_generated(frame)
        library = self.function.replace(":", ".").partition(".")[0]
        in_library = get_module_name(frame).partition(".")[0] == library
        code_owner = "python" if in_library else classify_frame(frame)
        return code_owner == "user" if self.reach == "line" else self.reach == "all" or code_owner != "python"

    def format_call(self, frame: FrameType) -> str | None:
        """The display name of the call that *frame* makes; None if that call is no evidence."""
        if not self.names:
            return self.display_name
        name = user_frames.find_called_name(user_frames.caller_frame(frame), self.names)
        if name is not None and name.endswith("(…)"):
            return None
        return self.display_name.format("*" if name is None else name.removesuffix("()"))


@dataclass(frozen=True, slots=True)
class Target:
    """A function to log, the cause word for which its calls are evidence, and the attribute that holds it."""

    function: WatchedFunction
    cause: str
    owner: Any
    name: str
    condition: Condition | None  # of the function: each call reads it


class CallLog:
    """The calls logged so far. Several threads may log at once.

    There is no lock: a finalizer that runs inside a call could wait for it forever. Entries are added
    by ``dict.setdefault`` and counted by ``itertools.count``, which are atomic.
    """

    def __init__(self) -> None:
        self._counters: dict[tuple[str, str, str, str], count[int]] = {}
        self.workers = WorkerCalls()
        self._counter_cache: dict[tuple[Any, ...], count[int] | None] = {}

    @property
    def calls(self) -> tuple[ExternalCall, ...]:
        """One entry per function, cause, line and library function, ordered by first call."""
        # The repr of a counter, "count(3)", shows its value without advancing it.
        calls = [
            ExternalCall(*key, count=int(repr(counter)[len("count(") : -1]))
            for key, counter in list(self._counters.items())
        ]
        return (*calls, *(ExternalCall(*key, in_worker=True) for key in self.workers.receive()))

    def record_call(self, targets: Sequence[Target], frame: FrameType, args: Any, kwargs: Any) -> None:
        """Logs a call that *frame* makes, for each of *targets* for which it is evidence."""
        for target in targets:
            if target.condition is None or target.condition(*args, **kwargs):
                # Known instructions are looked up by code and offset: 1.2 µs for the whole call.
                key = (real_id(target), frame.f_code, frame.f_lasti)
                try:
                    counter = self._counter_cache[key]
                except KeyError:
                    counter = self._resolve_call(target, frame, key)
                if counter is not None:
                    next(counter)

    def _resolve_call(self, target: Target, frame: FrameType, key: tuple[Any, ...]) -> count[int] | None:
        code_owner = classify_frame(frame)
        if not target.function.counts_call(frame):
            self._counter_cache[key] = None
            return None
        if _is_already_logged(frame, target.cause):
            return None
        counter, origin, name = None, user_frames.call_origin(frame), target.function.format_call(frame)
        if origin is not None and name is not None:
            entry = (name, target.cause, user_frames.format_location(origin.frame), origin.via)
            if entry not in self._counters and is_worker():
                self.workers.send(entry)
            counter = self._counters.setdefault(entry, count())
        if code_owner == "user":
            self._counter_cache[key] = counter
        return counter


def _is_already_logged(frame: FrameType, cause: str) -> bool:
    """Whether a logged call makes this call: uuid4() calls os.urandom(), which is one entry."""
    for caller in user_frames.walk_up(frame):
        if caller.f_code.co_name == "log_and_call" and get_module_name(caller) == __name__:
            return any(target.cause == cause for target in caller.f_locals["group"])
        if classify_frame(caller) == "user":
            return False
    return False


@contextmanager
def log_calls(targets: Iterable[Target]) -> Iterator[CallLog]:
    """Logs every call of *targets* during the block, by any code in any thread.

    The real functions are called with their arguments, so results do not change.

    Yields:
        The log, which grows as calls are made.
    """
    groups: dict[tuple[int, str], list[Target]] = {}
    for target in targets:
        groups.setdefault((real_id(target.owner), target.name), []).append(target)
    call_log = CallLog()
    try:
        with patch_everywhere(_build_patches(call_log, groups.values())):
            yield call_log
    finally:
        for group in groups.values():
            group.clear()  # a wrapper that outlives the block logs nothing
        call_log.workers.close()


def _build_patches(call_log: CallLog, groups: Iterable[Sequence[Target]]) -> Iterator[Patch]:
    groups_by_class: dict[type, list[Sequence[Target]]] = {}
    for group in groups:
        owner = group[0].owner
        if isinstance(owner, type) and owner.__flags__ & _IMMUTABLE:
            groups_by_class.setdefault(owner, []).append(group)
        else:
            yield _make_log_patch(call_log, group)
    for real, class_groups in groups_by_class.items():
        yield _make_proxy_patch(real, call_log, class_groups)


def _make_log_patch(call_log: CallLog, group: Sequence[Target]) -> Patch:
    owner, name, function = group[0].owner, group[0].name, group[0].function
    real, record_call = getattr(owner, name), call_log.record_call

    def log_and_call(*args: Any, **kwargs: Any) -> Any:
        record_call(group, user_frames.find_caller(sys._getframe()), args, kwargs)
        return real(*args, **kwargs)

    return make_patch(owner, name, log_and_call)._replace(owner_only=bool(function.names))


def _make_proxy_patch(real: type, call_log: CallLog, groups: Sequence[Sequence[Target]]) -> Patch:
    members: dict[str, object] = {}
    owns_instances = False
    for group in groups:
        name = group[0].name
        descriptor = inspect.getattr_static(real, name)
        is_classmethod = isinstance(descriptor, ClassMethodDescriptorType)
        method = _make_method(descriptor, is_classmethod, call_log, group)
        members[name] = classmethod(method) if is_classmethod else method
        owns_instances = owns_instances or not is_classmethod
    module_name, _, path = groups[0][0].function.function.partition(":")
    proxy = make_proxy_class(real, members, owns_instances)
    return Patch(sys.modules[module_name], path.partition(".")[0], proxy)


def _make_method(descriptor: Any, is_classmethod: bool, call_log: CallLog, group: Sequence[Target]) -> Any:
    def log_and_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        call_log.record_call(group, user_frames.find_caller(sys._getframe()), args, kwargs)
        if is_classmethod:
            return descriptor.__get__(None, self)(*args, **kwargs)
        return descriptor(self, *args, **kwargs)

    return log_and_call
