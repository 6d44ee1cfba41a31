"""Puts back what a run has left behind, a name at a time: which of many changes made the difference."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from pytest_repro.adapters import awake
from pytest_repro.core.diagnose.finding import Root
from pytest_repro.engine.experiments.process_state import Put, Walk

_PLAIN = (bool, int, float, complex, str, bytes, type(None))


class Keeping(Walk):
    """Keeps what belongs to some names as it is when it is gone through.

    Args:
        names: As changes have them: ``"test_it.MODEL.bn"``; what is below them is kept as well.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = names
        self._back: dict[str, Callable[[], object]] = {}
        self._beyond: set[str] = set()
        self._drawn: set[str] = set()

    def roots(self, roots: Mapping[str, Root]) -> None:
        """Goes through what belongs to the test."""
        for name, root in roots.items():
            self.value(name, root.value, 0)

    def met(self, name: str, value: Any, put: Put | None) -> None:
        # Of a generator another name is told, that of its state.
        whose = self._whose(name) or (self._whose(name, above=True) if self._names else "")
        if not whose or name in self._back or not (self._whose(name) or _standing(value)):
            return
        if any(_within(name, each) for each in self._drawn):  # a generator is put back as a whole
            return
        back = None
        with suppress(Exception):  # somebody else's object may refuse to be copied
            back = _way_back(value, put)
        if back is None:
            self._beyond.add(whose)
        else:
            self._back[name] = back
            self._drawn.update([name] * (_standing(value) is not None))

    def _whose(self, name: str, above: bool = False) -> str:
        """Which of the names *name* is a part of, or where *above* a whole."""
        pairs = ((name, each) if above else (each, name) for each in self._names)
        found = (part if above else whole for whole, part in pairs if _within(part, whole))
        return next(found, "")

    def put_back(self) -> None:
        """What was kept is as it was."""
        for name, back in self._back.items():
            try:
                back()
            except Exception:  # of an object that has changed its mind
                self._beyond.add(self._whose(name) or self._whose(name, above=True))

    def restored(self) -> tuple[str, ...]:
        """The names of what could be put back altogether."""
        kept = {self._whose(name) or self._whose(name, above=True) for name in self._back}
        return tuple(name for name in self._names if name in kept - self._beyond)


def _within(part: str, whole: str) -> bool:
    return part == whole or part.startswith((f"{whole}.", f"{whole}[", f"{whole}("))


def _way_back(value: Any, put: Put | None) -> Callable[[], object] | None:
    """What makes *value* again what it is now, and has it stand where it stands; None: nothing does."""
    inside = _inside(value)
    if inside is None:
        return None
    places: list[Callable[[], object]] = [partial(put, value)] if put is not None else []
    if isinstance(value, _PLAIN) and not places:
        return None
    return lambda: [each() for each in (inside, *places)]


def _inside(value: Any) -> Callable[[], object] | None:
    if isinstance(value, _PLAIN):
        return _nothing
    if (state := _standing(value)) is not None:
        return state
    if callable(getattr(value, "cache_clear", None)):
        return value.cache_clear  # type: ignore[no-any-return]
    if isinstance(value, (dict, set)):
        return partial(_refill, value, value.update, _copied(value))
    if isinstance(value, list) or hasattr(value, "popleft"):
        return partial(_refill, value, value.extend, _copied(value))
    return _array(value) or (_nothing if hasattr(value, "__dict__") or isinstance(value, tuple) else None)


def _nothing() -> None:
    """What is inside is looked at part by part."""


def _refill(value: Any, fill: Callable[[Iterable[Any]], object], before: Any) -> None:
    value.clear()
    fill(before)


def _copied(value: Any) -> Any:
    """*value* as it is now; its members too, where they let themselves be copied."""
    with suppress(Exception):
        return copy.deepcopy(value)
    return copy.copy(value)


def _standing(value: object) -> Callable[[], object] | None:
    """What puts *value* where it stands, if it is a generator."""
    for adapter in awake().values():
        with suppress(Exception):  # a class of the user's own that only looks like one
            state = adapter.standing(value)
            if state is not None:
                return partial(adapter.stand, value, state)
    return None


def _array(value: Any) -> Callable[[], object] | None:
    """What puts its numbers back into an array or a tensor."""
    torch, numpy = map(sys.modules.get, ("torch", "numpy"))
    if torch is not None and isinstance(value, torch.Tensor):
        data = value.detach()
        return partial(data.copy_, data.clone())
    if numpy is not None and isinstance(value, numpy.ndarray):
        return partial(value.__setitem__, ..., value.copy())
    return None
