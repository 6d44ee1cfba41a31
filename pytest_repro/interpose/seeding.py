"""Notices when a test seeds a global generator, or puts one back into an earlier state."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Protocol

from pytest_repro.interpose.patch import copy_identity, find_bindings, list_modules, real_id
from pytest_repro.interpose.user_frames import get_module_name, is_user_module

Effect = Literal["seeds", "restores", "advances"]
"""What a call does to the generators of its library; one that only advances them changes no value."""


class SeedingFunction(NamedTuple):
    """A function that sets global generators, by its owner, a module or class, and its name there."""

    library: str
    owner: Any
    name: str
    effect: Effect


class SeedingObserver(Protocol):
    """Is called around each call of a seeding function."""

    def before_seeding(self, library: str) -> None:
        """The generators of *library* are about to be set."""

    def after_seeding(self, library: str, effect: Effect) -> None:
        """The generators of *library* have been set."""


class _Hook(NamedTuple):
    owner: Any
    name: str
    real: Any
    wrapper: Any

    def replace(self, old: Any, new: Any) -> bool:
        """Replaces *old* by *new*; False if the owner holds something else."""
        if vars(self.owner).get(self.name) is not old:
            return False
        setattr(self.owner, self.name, new)
        return True


_observers: list[SeedingObserver] = []
_covered_hooks: list[_Hook] = []


class SeedingWatch:
    """Has *observer* called in its block for *functions*, under every name that user code has for them."""

    __slots__ = ("_functions", "_hooks", "_observer")

    def __init__(self, functions: tuple[SeedingFunction, ...], observer: SeedingObserver) -> None:
        self._functions, self._observer = functions, observer
        self._hooks: list[_Hook] = []

    def __enter__(self) -> None:
        hooks = _find_hooks(self._functions, len(sys.modules))
        self._hooks = [hook for hook in hooks if hook.replace(hook.real, hook.wrapper)]
        _observers.append(self._observer)

    def __exit__(self, *error: object) -> None:
        _observers.remove(self._observer)
        _covered_hooks.extend(hook for hook in self._hooks if not hook.replace(hook.wrapper, hook.real))


def restore_covered_functions() -> None:
    """Restores functions that a fixture replaced in the block of a watch, and put back after it."""
    while _covered_hooks:
        hook = _covered_hooks.pop()
        hook.replace(hook.wrapper, hook.real)


@contextmanager
def pause_observers() -> Iterator[None]:
    """Calls no observer in the block, which is not part of the test."""
    paused = _observers[:]
    _observers.clear()
    try:
        yield
    finally:
        _observers[:] = paused


def is_observing(observer: SeedingObserver) -> bool:
    """Whether *observer* watches now."""
    return observer in _observers


@contextmanager
def report_seeding(libraries: Iterable[str], effect: Effect = "seeds") -> Iterator[None]:
    """The block sets the generators of *libraries*, as the test requests."""
    calls = [(observer, library) for library in libraries for observer in _observers]
    for observer, library in calls:
        observer.before_seeding(library)
    try:
        yield
    finally:
        for observer, library in calls:
            observer.after_seeding(library, effect)


@lru_cache(maxsize=1)
def _find_hooks(functions: tuple[SeedingFunction, ...], module_count: int) -> list[_Hook]:
    """The hooks; looked for again once there are more modules, since that takes a millisecond."""
    hooks = [_make_hook(each) for each in functions if each.name in vars(each.owner)]
    replacements = {real_id(hook.real): (hook.real, hook.wrapper) for hook in reversed(hooks)}
    for module in list_modules():
        if is_user_module(module):
            for name, wrapper in find_bindings(module, replacements):
                hooks.append(_Hook(module, name, vars(module)[name], wrapper))
    return hooks


def _make_hook(function: SeedingFunction) -> _Hook:
    library, owner, name, effect = function
    real = vars(owner)[name]

    def seed_and_report(*args: Any, **kwargs: Any) -> Any:
        # Adapters seed for this package: what the test requests is reported where it does.
        if not _observers or get_module_name(sys._getframe(1)).startswith("pytest_repro."):
            return real(*args, **kwargs)
        with report_seeding((library,), effect):
            return real(*args, **kwargs)

    return _Hook(owner, name, real, copy_identity(seed_and_report, real, owner, name))
