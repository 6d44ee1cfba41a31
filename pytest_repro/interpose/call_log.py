"""Logs the calls that a block makes to the outside world, with file and line."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from types import ClassMethodDescriptorType, FrameType
from typing import Any

from pytest_repro.core.diagnose import ExternalCall
from pytest_repro.interpose.patch import Patch, copy_identity, patch_everywhere, real_id
from pytest_repro.interpose.proxy_class import is_immutable, make_proxy_class
from pytest_repro.interpose.target import Target
from pytest_repro.interpose.user_frames import (
    Origin,
    call_origin,
    caller_frame,
    classify_frame,
    find_called_name,
    format_location,
    get_module_name,
    walk_up,
)


class CallLog:
    """The calls logged so far. Several threads may log at once.

    There is no lock: a finalizer that runs inside a call could wait for it forever. Entries are added
    by ``dict.setdefault`` and counted by ``itertools.count``, which are atomic.
    """

    def __init__(self) -> None:
        self._counters: dict[tuple[str, str, str, str], count[int]] = {}
        self._counter_cache: dict[tuple[Any, ...], count[int] | None] = {}

    @property
    def calls(self) -> tuple[ExternalCall, ...]:
        """One entry per function, cause, line and library function, ordered by first call."""
        # The repr of a counter, "count(3)", shows its value without advancing it.
        return tuple(
            ExternalCall(*key, count=int(repr(counter)[len("count(") : -1]))
            for key, counter in list(self._counters.items())
        )

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
        if not _is_within_reach(target, frame):
            self._counter_cache[key] = None
            return None
        if _is_already_logged(frame, target.cause):
            return None
        origin, name = call_origin(frame), _format_call(target, frame)
        counter = None if origin is None or name is None else self._get_counter(name, target.cause, origin)
        if code_owner == "user":
            self._counter_cache[key] = counter
        return counter

    def _get_counter(self, display_name: str, cause: str, origin: Origin) -> count[int]:
        key = (display_name, cause, format_location(origin.frame), origin.via)
        return self._counters.setdefault(key, count())


def _format_call(target: Target, frame: FrameType) -> str | None:
    """The display name of the call that *frame* makes; None if that call is no evidence."""
    if not target.function_names:
        return target.display_name
    name = find_called_name(caller_frame(frame), target.function_names)
    if name is not None and name.endswith("(…)"):
        return None
    return target.display_name.format("*" if name is None else name.removesuffix("()"))


def _is_already_logged(frame: FrameType, cause: str) -> bool:
    """Whether a logged call makes this call: uuid4() calls os.urandom(), which is one entry."""
    for caller in walk_up(frame):
        if caller.f_code.co_name == "log_and_call" and get_module_name(caller) == __name__:
            return any(target.cause == cause for target in caller.f_locals["group"])
        if classify_frame(caller) == "user":
            return False
    return False


def _is_within_reach(target: Target, frame: FrameType) -> bool:
    """Whether a call that *frame* makes counts, by the owner of its code."""
    in_own_package = get_module_name(frame).partition(".")[0] == target.package
    code_owner = "python" if in_own_package else classify_frame(frame)
    if target.reach == "line":
        return code_owner == "user"
    return target.reach == "all" or code_owner != "python"


@contextmanager
def log_calls(targets: Iterable[Target]) -> Iterator[CallLog]:
    """Logs every call of *targets* during the block, by any code in any thread.

    The real functions are called with their arguments, so results do not change.

    Yields:
        The log, which grows as calls are made.
    """
    groups_by_attribute: dict[tuple[int, str], list[Target]] = {}
    for target in targets:
        owner, name = target.attribute
        groups_by_attribute.setdefault((real_id(owner), name), []).append(target)
    groups = list(groups_by_attribute.values())
    call_log = CallLog()
    try:
        with patch_everywhere(_build_patches(call_log, groups)):
            yield call_log
    finally:
        for group in groups:
            group.clear()  # a wrapper that outlives the block logs nothing


def _build_patches(call_log: CallLog, groups: Sequence[Sequence[Target]]) -> Iterator[Patch]:
    groups_by_class: dict[type, list[Sequence[Target]]] = {}
    for group in groups:
        owner, name = group[0].attribute
        if isinstance(owner, type) and is_immutable(owner):
            groups_by_class.setdefault(owner, []).append(group)
        else:
            wrapper = _make_wrapper(getattr(owner, name), owner, name, call_log, group)
            yield Patch(owner, name, wrapper, owner_only=bool(group[0].function_names))
    for real, class_groups in groups_by_class.items():
        yield _make_proxy_patch(real, call_log, class_groups)


def _make_wrapper(
    real: Callable[..., Any], owner: Any, name: str, call_log: CallLog, group: Sequence[Target]
) -> Callable[..., Any]:
    record_call = call_log.record_call

    def log_and_call(*args: Any, **kwargs: Any) -> Any:
        record_call(group, sys._getframe(1), args, kwargs)
        return real(*args, **kwargs)

    return copy_identity(log_and_call, real, owner, name)


def _make_proxy_patch(real: type, call_log: CallLog, groups: Sequence[Sequence[Target]]) -> Patch:
    members: dict[str, object] = {}
    owns_instances = False
    for group in groups:
        name = group[0].attribute[1]
        descriptor = inspect.getattr_static(real, name)
        is_classmethod = isinstance(descriptor, ClassMethodDescriptorType)
        wrapper = _make_method_wrapper(descriptor, is_classmethod, call_log, group)
        members[name] = classmethod(wrapper) if is_classmethod else wrapper
        owns_instances = owns_instances or not is_classmethod
    target = groups[0][0]
    proxy = make_proxy_class(real, members, owns_instances)
    return Patch(target.module, target.path.partition(".")[0], proxy)


def _make_method_wrapper(
    descriptor: Any, is_classmethod: bool, call_log: CallLog, group: Sequence[Target]
) -> Callable[..., Any]:
    def log_and_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        call_log.record_call(group, sys._getframe(1), args, kwargs)
        if is_classmethod:
            return descriptor.__get__(None, self)(*args, **kwargs)
        return descriptor(self, *args, **kwargs)

    return log_and_call
