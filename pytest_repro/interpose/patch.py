"""Replaces functions and classes under every name that user code holds them by."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any, NamedTuple

from pytest_repro.interpose.passthrough import sparing
from pytest_repro.interpose.proxy_class import StandIn, pickled
from pytest_repro.interpose.user_frames import is_users

_ABSENT = object()
address = id  # before anybody replaces it


class Swap(NamedTuple):
    """What is put in the place of an attribute.

    Attributes:
        owner: A module, or a class written in Python.
        name: The attribute; one that a class inherits is replaced for that class alone.
        value: The new one, which nobody holds yet.
        only_there: Whether it stays where others hold the same object: a hook into a library, which
            holds a function under another meaning.
    """

    owner: Any
    name: str
    value: Any
    only_there: bool = False


@contextmanager
def replaced_everywhere(swaps: Iterable[Swap]) -> Iterator[None]:
    """Replaces attributes, and the same objects wherever a user's module has bound them.

    ``from time import time`` in a test file is found by identity; the standard library and
    installed packages keep what they have bound. All is put back, also after an error, and taken
    out of modules that were imported meanwhile. What the block itself rebinds stays as it left it.

    Args:
        swaps: What is replaced by what. Two of one attribute are one too many.
    """
    swaps = tuple(swaps)
    originals = [getattr(swap.owner, swap.name) for swap in swaps]
    swaps = tuple(swap._replace(value=sparing(swap.value, o)) for swap, o in zip(swaps, originals))
    known = {address(module) for module in modules()}
    with ExitStack() as stack:
        stack.callback(_take_out, {address(s.value): (s.value, o) for s, o in zip(swaps, originals)}, known)
        for swap in swaps:
            _put(stack, swap.owner, swap.name, swap.value)
        # Of two names for one object (torch.seed, torch.random.seed) the first stands for it.
        pairs = reversed([*zip(originals, swaps)])
        bound = {address(o): (o, s.value) for o, s in pairs if not s.only_there}
        for module in modules():
            if is_users(module):
                for name, value in held(module, bound):
                    _put(stack, module, name, value)
        for swap in swaps:
            if isinstance(swap.value, StandIn) and not swap.value.makes:
                stack.enter_context(pickled(swap.value))
        yield


def modules() -> list[ModuleType]:
    """The modules imported so far; what else stands among them is passed over."""
    return [module for module in list(sys.modules.values()) if isinstance(module, ModuleType)]


def held(module: ModuleType, wanted: Mapping[int, tuple[Any, Any]]) -> list[tuple[str, Any]]:
    """Names in *module* that hold one of the objects *wanted*, and what is to stand there.

    Args:
        module: Is only looked into, not asked: a lazy module stays asleep.
        wanted: The id of an object → the object, and what replaces it.
    """
    return [
        (name, wanted[address(value)][1])
        for name, value in list(vars(module).items())
        if address(value) in wanted
    ]


def _put(stack: ExitStack, owner: Any, name: str, value: Any) -> None:
    before = vars(owner).get(name, _ABSENT)
    stack.callback(_put_back, owner, name, value, before)
    setattr(owner, name, value)


def _put_back(owner: Any, name: str, value: Any, before: Any) -> None:
    if vars(owner).get(name, _ABSENT) is not value:
        return
    if before is _ABSENT:
        delattr(owner, name)
    else:
        setattr(owner, name, before)


def _take_out(replaced: Mapping[int, tuple[Any, Any]], known: set[int]) -> None:
    for module in modules():
        if address(module) not in known or is_users(module):
            for name, original in held(module, replaced):
                setattr(module, name, original)


def renamed(made: Callable[..., Any], real: Any, owner: Any, name: str) -> Callable[..., Any]:
    """*made*, looking like *real*; and found where it is, so that it pickles."""
    made = functools.wraps(real)(made)
    if not isinstance(owner, type):
        made.__module__, made.__qualname__ = owner.__name__, name
    return made
