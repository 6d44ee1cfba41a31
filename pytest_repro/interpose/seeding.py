"""Notices when a test seeds a global generator, or puts one back into an earlier state."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Protocol

from pytest_repro.interpose._bound.names import find_bindings
from pytest_repro.interpose.patch import copy_identity, list_user_modules, real_id
from pytest_repro.interpose.user_frames import get_module_name

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


ListFunctions = Callable[[tuple[str, ...]], Iterable[SeedingFunction]]
observers: list[SeedingObserver] = []
"""Those that watch now."""
_NOTHING = nullcontext()
covered_hooks: list[_Hook] = []
"""What :func:`restore_covered_functions` restores."""

_originals: dict[tuple[int, str], Any] = {}
"""What an owner (by its id) had under a name at first: later a fixture may have replaced it."""


class SeedingWatch:
    """Has *observer* called in its block around the calls of functions that seed.

    Args:
        libraries: Names of the libraries.
        list_functions: Returns their functions; user code calls them under any name.
        observer: Is called.
    """

    __slots__ = ("_hooks", "_observer")

    def __init__(
        self, libraries: tuple[str, ...], list_functions: ListFunctions, observer: SeedingObserver
    ) -> None:
        last_module = next(reversed(sys.modules.values()))
        self._hooks = _find_hooks(libraries, list_functions, len(sys.modules), real_id(last_module))
        self._observer = observer

    def __enter__(self) -> None:
        for owner, name, real, wrapper in self._hooks:
            if getattr(owner, name, None) is real:  # not replaced by somebody else
                setattr(owner, name, wrapper)
        observers.append(self._observer)

    def __exit__(self, *error: object) -> None:
        observers.remove(self._observer)
        for hook in self._hooks:
            if not _restore(hook):
                covered_hooks.append(hook)


def restore_covered_functions() -> None:
    """Restores functions that a fixture replaced in the block of a watch, and put back after it."""
    while covered_hooks:
        _restore(covered_hooks.pop())


def _restore(hook: _Hook) -> bool:
    owner, name, real, wrapper = hook
    if getattr(owner, name, None) is not wrapper:
        return False
    setattr(owner, name, real)
    return True


@contextmanager
def pause_observers() -> Iterator[None]:
    """Calls no observer in the block, which is not part of the test."""
    paused = observers[:]
    observers.clear()
    try:
        yield
    finally:
        observers[:] = paused


def report_seeding(libraries: Iterable[str], effect: Effect = "seeds") -> AbstractContextManager[None]:
    """A block that sets the generators of *libraries*, as the test requests."""
    return _report(libraries, effect) if observers else _NOTHING


@contextmanager
def _report(libraries: Iterable[str], effect: Effect) -> Iterator[None]:
    calls = [(observer, library) for library in libraries for observer in observers]
    for observer, library in calls:
        observer.before_seeding(library)
    try:
        yield
    finally:
        for observer, library in calls:
            observer.after_seeding(library, effect)


@lru_cache(maxsize=1)
def _find_hooks(
    libraries: tuple[str, ...], list_functions: ListFunctions, module_count: int, last_module_id: int
) -> list[_Hook]:
    """The hooks; looked for again once there are more modules, since that takes a millisecond."""
    functions = [each for each in list_functions(libraries) if each.name in vars(each.owner)]
    hooks = list(map(_make_hook, functions))
    for owner, name, real, wrapper in hooks:
        copy_identity(wrapper, real, owner, name)
    replacements = {real_id(hook.real): (hook.real, hook.wrapper) for hook in reversed(hooks)}
    for module in list_user_modules():
        for name, wrapper in find_bindings(module, replacements):
            hooks.append(_Hook(module, name, vars(module)[name], wrapper))
    return hooks


def _make_hook(function: SeedingFunction) -> _Hook:
    library, owner, name, effect = function
    real = _originals.setdefault((real_id(owner), name), vars(owner)[name])

    def seed_and_report(*args: Any, **kwargs: Any) -> Any:
        # Adapters seed for this package: what the test requests is reported where it does.
        if not observers or get_module_name(sys._getframe(1)).startswith("pytest_repro."):
            return real(*args, **kwargs)
        with _report((library,), effect):
            return real(*args, **kwargs)

    return _Hook(owner, name, real, seed_and_report)
