"""Replaces functions and classes wherever user code refers to them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from types import BuiltinMethodType, FrameType, MethodType, ModuleType
from typing import Any, NamedTuple

from pytest_repro.interpose._bound.names import Places, find_bindings, find_replacement
from pytest_repro.interpose.code_owner import find_user_code, is_user_module
from pytest_repro.interpose.proxy_class import ProxyMeta, patch_pickling
from pytest_repro.interpose.user_frames import call_origin, format_location

_ABSENT = object()
_PASSTHROUGH_SITES: set[str] = set()
real_id = id  # kept before a block replaces it


class Patch(NamedTuple):
    """An attribute and its replacement.

    Attributes:
        owner: A module, or a class written in Python.
        name: If a class inherits the attribute, it is replaced on that class alone.
        value: A new object that nothing else refers to.
        owner_only: Whether only *owner* is patched: for a hook inside a library, where other modules
            use the same object for something else.
    """

    owner: Any
    name: str
    value: Any
    owner_only: bool = False


class _PatchSet:
    """The patches of one block, which can be undone and applied again."""

    def __init__(self, patches: Iterable[Patch]) -> None:
        self._patches: list[Patch] = []
        self._originals: list[Any] = []
        self._own_attributes: list[Any] = []
        for patch in patches:
            original = getattr(patch.owner, patch.name)
            value = _wrap_passthrough(patch.value, original)
            if getattr(original, "__self__", None) is patch.owner and isinstance(patch.owner, type):
                value = staticmethod(value)  # in place of a class method, for calls on instances
            self._patches.append(patch if value is patch.value else patch._replace(value=value))
            self._originals.append(original)
            self._own_attributes.append(vars(patch.owner).get(patch.name, _ABSENT))
        self._stack = ExitStack()

    def apply(self) -> None:
        user_modules, known_ids = list_user_modules(), _known.ids
        pairs = [*zip(self._patches, self._originals)]
        with ExitStack() as stack:
            unpatched = {real_id(patch.value): (patch.value, original) for patch, original in pairs}
            stack.callback(_unpatch_late_imports, unpatched, known_ids)
            # What the block has rebound since the last time stays as it is. Read before anything is set: a
            # class inherits the patch of its base.
            originals = [_is_same(getattr(patch.owner, patch.name, _ABSENT), real) for patch, real in pairs]
            for patch, is_original, own in zip(self._patches, originals, self._own_attributes):
                stack.callback(_restore_attribute, patch.owner, patch.name, patch.value, own)
                if is_original:
                    setattr(patch.owner, patch.name, patch.value)
            # If one object has two names (torch.seed, torch.random.seed), the first patch replaces it.
            replacements = {real_id(o): (o, p.value) for p, o in reversed(pairs) if not p.owner_only}
            for module in user_modules:
                for name, value in find_bindings(module, replacements):
                    _set_attribute(stack, module, name, value)
            find = partial(find_replacement, replacements)
            for undo in _known.find_places().replace(find):
                stack.callback(undo)
            for patch, _ in pairs:
                if isinstance(patch.value, ProxyMeta) and not patch.value.owns_instances:
                    stack.enter_context(patch_pickling(patch.value))
            self._stack = stack.pop_all()

    def undo(self) -> None:
        self._stack.close()


def _is_same(a: object, b: object) -> bool:
    """Whether two values of an attribute are the same; a class method is bound again each time."""
    return a is b or (type(a) is type(b) and isinstance(a, _BOUND) and a == b)


_BOUND = (MethodType, BuiltinMethodType)
_active_sets: list[_PatchSet] = []


@contextmanager
def patch_everywhere(patches: Iterable[Patch]) -> Iterator[None]:
    """Replaces attributes, and the same object in every global, default argument, closure, class of a user's.

    ``from time import time`` in a test file is found by identity; globals of the standard library and of
    installed packages stay. The block's end, or an error, restores everything, also in modules that
    were imported meanwhile. An attribute that the block itself rebinds stays rebound.

    Args:
        patches: At most one for each attribute.
    """
    find_user_code()
    patch_set = _PatchSet(patches)
    patch_set.apply()
    _active_sets.append(patch_set)
    try:
        yield
    finally:
        _active_sets.remove(patch_set)
        patch_set.undo()


@contextmanager
def unpatched() -> Iterator[None]:
    """Undoes the patches of all blocks of :func:`patch_everywhere` in this block."""
    undone = _active_sets[:]
    for patch_set in reversed(undone):
        patch_set.undo()
    try:
        yield
    finally:
        for patch_set in undone:
            if patch_set in _active_sets:
                patch_set.apply()


def list_user_modules() -> list[ModuleType]:
    """The user's modules imported so far."""
    modules = list(sys.modules.values())
    ids = list(map(real_id, modules))
    if ids != _known.ids:  # modules are kept, so that no other one gets the id of one
        found = [each for each in modules if isinstance(each, ModuleType) and is_user_module(each)]
        _known.modules, _known.ids, _known.user_modules, _known.places = modules, ids, found, None
    return _known.user_modules


class _KnownModules:
    """What :func:`list_user_modules` has found: 0.1 ms for a thousand modules that it has seen before."""

    def __init__(self) -> None:
        self.modules: list[ModuleType] = []
        self.ids: list[int] = []
        self.user_modules: list[ModuleType] = []
        self.places: Places | None = None

    def find_places(self) -> Places:
        self.places = self.places or Places(self.user_modules)
        return self.places


_known = _KnownModules()


def _set_attribute(stack: ExitStack, owner: Any, name: str, value: Any) -> None:
    before = vars(owner).get(name, _ABSENT)
    stack.callback(_restore_attribute, owner, name, value, before)
    setattr(owner, name, value)


def _restore_attribute(owner: Any, name: str, value: Any, before: Any) -> None:
    if vars(owner).get(name, _ABSENT) is not value:
        return
    if before is _ABSENT:
        delattr(owner, name)
    else:
        setattr(owner, name, before)


def _unpatch_late_imports(originals: Mapping[int, tuple[Any, Any]], known_ids: list[int]) -> None:
    modules = list_user_modules()
    if _known.ids is not known_ids:  # modules were imported in the block
        new = set(_known.ids).difference(known_ids)
        modules = modules + [m for m in _known.modules if real_id(m) in new and isinstance(m, ModuleType)]
    for module in modules:
        for name, original in find_bindings(module, originals):
            setattr(module, name, original)


def copy_identity(wrapper: Callable[..., Any], real: Any, owner: Any, name: str) -> Callable[..., Any]:
    """*wrapper* with the metadata of *real* and an import path by which it pickles."""
    wrapper = functools.wraps(real)(wrapper)
    if not isinstance(owner, type):
        wrapper.__module__, wrapper.__qualname__ = owner.__name__, name
    return wrapper


def make_patch(owner: Any, name: str, wrapper: Callable[..., Any]) -> Patch:
    """The patch by *wrapper*, which gets the identity of the original (:func:`copy_identity`)."""
    return Patch(owner, name, copy_identity(wrapper, getattr(owner, name), owner, name))


@contextmanager
def pass_through(sites: Iterable[str]) -> Iterator[None]:
    """In the block, calls from *sites* reach the real functions: lines, or what a line calls.

    This is how one finds out which line matters, and which library function that it calls.
    """
    before = set(_PASSTHROUGH_SITES)
    _PASSTHROUGH_SITES.update(sites)
    try:
        yield
    finally:
        _PASSTHROUGH_SITES.clear()
        _PASSTHROUGH_SITES.update(before)


@contextmanager
def pass_through_nothing() -> Iterator[None]:
    """What is patched first in the block acts at the sites of :func:`pass_through` as well."""
    before = set(_PASSTHROUGH_SITES)
    _PASSTHROUGH_SITES.clear()
    try:
        yield
    finally:
        _PASSTHROUGH_SITES.update(before)


def has_passthrough() -> bool:
    """Whether there are sites of :func:`pass_through`."""
    return bool(_PASSTHROUGH_SITES)


def is_passthrough(frame: FrameType) -> bool:
    """Whether a call that *frame* makes comes from a site of :func:`pass_through`."""
    origin = call_origin(frame) if _PASSTHROUGH_SITES else None
    return origin is not None and passes_through(f"{format_location(origin.frame)} {origin.via}")


def passes_through(site: str) -> bool:
    """Whether *site*, a line and the library function that it calls, is one of :func:`pass_through`."""
    return site in _PASSTHROUGH_SITES or site.rpartition(" ")[0] in _PASSTHROUGH_SITES


def _wrap_passthrough(value: Any, real: Callable[..., Any]) -> Any:
    """*value*, wrapped to call *real* for sites of :func:`pass_through`. Classes are not wrapped."""
    if not _PASSTHROUGH_SITES or isinstance(value, type) or not callable(value):
        return value

    def dispatch(*args: Any, **kwargs: Any) -> Any:
        return (real if is_passthrough(sys._getframe().f_back or sys._getframe()) else value)(*args, **kwargs)

    return functools.update_wrapper(dispatch, value) if hasattr(value, "__name__") else dispatch
