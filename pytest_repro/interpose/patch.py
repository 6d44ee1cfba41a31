"""Replaces functions and classes under every name that user code holds them by."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any, NamedTuple

from pytest_repro.interpose.passthrough import wrap_passthrough
from pytest_repro.interpose.proxy_class import ProxyMeta, patch_pickling
from pytest_repro.interpose.user_frames import is_user_module

_ABSENT = object()
real_id = id  # before anybody replaces it


class Patch(NamedTuple):
    """What is put in the place of an attribute.

    Attributes:
        owner: A module, or a class written in Python.
        name: The attribute; one that a class inherits is replaced for that class alone.
        value: The new one, which nobody holds yet.
        owner_only: Whether it stays where others hold the same object: a hook into a library, which
            holds a function under another meaning.
    """

    owner: Any
    name: str
    value: Any
    owner_only: bool = False


@contextmanager
def patch_everywhere(patches: Iterable[Patch]) -> Iterator[None]:
    """Replaces attributes, and the same objects wherever a user's module has bound them.

    ``from time import time`` in a test file is found by identity; the standard library and
    installed packages keep what they have bound. All is put back, also after an error, and taken
    out of modules that were imported meanwhile. What the block itself rebinds stays as it left it.

    Args:
        patches: What is replaced by what. Two of one attribute are one too many.
    """
    patches = tuple(patches)
    originals = [getattr(swap.owner, swap.name) for swap in patches]
    patches = tuple(
        swap._replace(value=wrap_passthrough(swap.value, o)) for swap, o in zip(patches, originals)
    )
    known = {real_id(module) for module in list_modules()}
    with ExitStack() as stack:
        stack.callback(
            _unpatch_late_imports, {real_id(s.value): (s.value, o) for s, o in zip(patches, originals)}, known
        )
        for swap in patches:
            _set_attribute(stack, swap.owner, swap.name, swap.value)
        # Of two names for one object (torch.seed, torch.random.seed) the first stands for it.
        pairs = reversed([*zip(originals, patches)])
        bound = {real_id(o): (o, s.value) for o, s in pairs if not s.owner_only}
        for module in list_modules():
            if is_user_module(module):
                for name, value in find_bindings(module, bound):
                    _set_attribute(stack, module, name, value)
        for swap in patches:
            if isinstance(swap.value, ProxyMeta) and not swap.value.owns_instances:
                stack.enter_context(patch_pickling(swap.value))
        yield


def list_modules() -> list[ModuleType]:
    """The modules imported so far; what else stands among them is passed over."""
    return [module for module in list(sys.modules.values()) if isinstance(module, ModuleType)]


def find_bindings(module: ModuleType, replacements: Mapping[int, tuple[Any, Any]]) -> list[tuple[str, Any]]:
    """Names in *module* that hold one of the objects *replacements*, and what is to stand there.

    Args:
        module: Is only looked into, not asked: a lazy module stays asleep.
        replacements: The id of an object → the object, and what replaces it.
    """
    return [
        (name, replacements[real_id(value)][1])
        for name, value in list(vars(module).items())
        if real_id(value) in replacements
    ]


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


def _unpatch_late_imports(originals: Mapping[int, tuple[Any, Any]], known_modules: set[int]) -> None:
    for module in list_modules():
        if real_id(module) not in known_modules or is_user_module(module):
            for name, original in find_bindings(module, originals):
                setattr(module, name, original)


def copy_identity(wrapper: Callable[..., Any], real: Any, owner: Any, name: str) -> Callable[..., Any]:
    """*wrapper*, looking like *real*; and found where it is, so that it pickles."""
    wrapper = functools.wraps(real)(wrapper)
    if not isinstance(owner, type):
        wrapper.__module__, wrapper.__qualname__ = owner.__name__, name
    return wrapper
