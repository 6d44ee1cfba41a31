"""Notes the calls that a block makes of the outside world, with file and line."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from types import ClassMethodDescriptorType, FrameType
from typing import Any

from pytest_repro.core.diagnose.external_call import Call
from pytest_repro.interpose.patch import Swap, address, renamed, replaced_everywhere
from pytest_repro.interpose.proxy_class import immutable, stand_in
from pytest_repro.interpose.target import Reach, Target
from pytest_repro.interpose.user_frames import (
    Origin,
    Owner,
    asker,
    called_name,
    line,
    module_of,
    origin,
    outwards,
    owner_of,
)


class Ledger:
    """The calls heard so far. May be written by several threads at once.

    There is no lock, which a finaliser inside a call could wait for for ever: entries are made by
    ``dict.setdefault`` and counted by ``itertools.count``, one step each.
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str, str, str], count[int]] = {}
        self._known: dict[tuple[Any, ...], count[int] | None] = {}

    @property
    def calls(self) -> tuple[Call, ...]:
        """Each call once by what, line and way, in the order of the first time."""
        return tuple(Call(*key, count=_standing(entry)) for key, entry in list(self._entries.items()))

    def hear(self, targets: Sequence[Target], frame: FrameType, args: Any, named: Any) -> None:
        """Notes a call that *frame* makes, for each of *targets* for which it is evidence."""
        for target in targets:
            if target.when is None or target.when(*args, **named):
                # A line met before is looked up by where its code stands: a call takes 1.2 µs more in all.
                key = (address(target), frame.f_code, frame.f_lasti)
                try:
                    entry = self._known[key]
                except KeyError:
                    entry = self._met(target, frame, key)
                if entry is not None:
                    next(entry)

    def _met(self, target: Target, frame: FrameType, key: tuple[Any, ...]) -> count[int] | None:
        whose = owner_of(frame)
        own = module_of(frame).partition(".")[0] == target.package
        if not _reached(target.reach, "python" if own else whose):
            self._known[key] = None
            return None
        if _heard_already(frame, target.cause):
            return None
        found, what = origin(frame), _called(target, frame)
        entry = None if found is None or what is None else self._entry(what, target.cause, found)
        if whose == "user":
            self._known[key] = entry
        return entry

    def _entry(self, what: str, cause: str, found: Origin) -> count[int]:
        return self._entries.setdefault((what, cause, line(found.frame), found.via), count())


def _called(target: Target, frame: FrameType) -> str | None:
    """What *frame* calls, as it is said; None where that is no evidence after all."""
    if not target.names:
        return target.what
    name = called_name(asker(frame), target.names)
    if name is not None and name.endswith("(…)"):
        return None
    return target.what.format("*" if name is None else name.removesuffix("()"))


def _heard_already(frame: FrameType, cause: str) -> bool:
    """Whether a call is made by one that was heard: uuid4() asks os.urandom(), told once."""
    for each in outwards(frame):
        if each.f_code.co_name == "noting" and module_of(each) == __name__:
            return any(target.cause == cause for target in each.f_locals["group"])
        if owner_of(each) == "user":
            return False
    return False


def _reached(reach: Reach, whose: Owner) -> bool:
    """Whether a call that code of *whose* makes is within *reach*."""
    if reach == "line":
        return whose == "user"
    return reach == "all" or whose != "python"


def _standing(entry: count[int]) -> int:
    """Where a counter stands, without moving it."""
    return int(repr(entry)[len("count(") : -1])


@contextmanager
def listening(targets: Iterable[Target]) -> Iterator[Ledger]:
    """Notes every call of *targets* during the block, whoever makes it, in whichever thread.

    Results stay as they are: the functions themselves are called, with what they were given.

    Yields:
        The ledger, which fills as calls are made.
    """
    by_place: dict[tuple[int, str], list[Target]] = {}
    for target in targets:
        owner, name = target.place
        by_place.setdefault((address(owner), name), []).append(target)
    ledger = Ledger()
    try:
        with replaced_everywhere(_swaps(ledger, list(by_place.values()))):
            yield ledger
    finally:
        for group in by_place.values():
            group.clear()  # whoever has kept a replaced function is not heard any more


def _swaps(ledger: Ledger, groups: Sequence[Sequence[Target]]) -> Iterator[Swap]:
    methods: dict[type, list[Sequence[Target]]] = {}
    for group in groups:
        owner, name = group[0].place
        if isinstance(owner, type) and immutable(owner):
            methods.setdefault(owner, []).append(group)
        else:
            made = _noting(getattr(owner, name), owner, name, ledger, group)
            yield Swap(owner, name, made, only_there=bool(group[0].names))
    for real, theirs in methods.items():
        yield _stand_in(real, ledger, theirs)


def _noting(
    real: Callable[..., Any], owner: Any, name: str, ledger: Ledger, group: Sequence[Target]
) -> Callable[..., Any]:
    hear = ledger.hear

    def noting(*args: Any, **named: Any) -> Any:
        hear(group, sys._getframe(1), args, named)
        return real(*args, **named)

    return renamed(noting, real, owner, name)


def _stand_in(real: type, ledger: Ledger, groups: Sequence[Sequence[Target]]) -> Swap:
    members: dict[str, object] = {}
    makes = False
    for group in groups:
        name = group[0].place[1]
        descriptor = inspect.getattr_static(real, name)
        of_class = isinstance(descriptor, ClassMethodDescriptorType)
        noting = _noting_of_class if of_class else _noting_of_instance
        members[name] = noting(descriptor, ledger, group)
        makes = makes or not of_class
    target = groups[0][0]
    return Swap(target.module, target.path.partition(".")[0], stand_in(real, members, makes))


def _noting_of_class(descriptor: Any, ledger: Ledger, group: Sequence[Target]) -> object:
    def noting(cls: type, *args: Any, **named: Any) -> Any:
        ledger.hear(group, sys._getframe(1), args, named)
        return descriptor.__get__(None, cls)(*args, **named)

    return classmethod(noting)


def _noting_of_instance(descriptor: Any, ledger: Ledger, group: Sequence[Target]) -> object:
    def noting(self: Any, *args: Any, **named: Any) -> Any:
        ledger.hear(group, sys._getframe(1), args, named)
        return descriptor(self, *args, **named)

    return noting
