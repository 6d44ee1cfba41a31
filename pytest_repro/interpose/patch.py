"""Replaces functions and classes under every name by which user code refers to them."""

from __future__ import annotations

import copyreg
import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import FrameType, ModuleType
from typing import Any, NamedTuple

from pytest_repro.interpose.user_frames import call_origin, format_location, is_user_module

_ABSENT = object()
_PASSTHROUGH_LINES: set[str] = set()
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


@contextmanager
def patch_everywhere(patches: Iterable[Patch]) -> Iterator[None]:
    """Replaces attributes, and every global of a user's module that holds the same object.

    ``from time import time`` in a test file is found by identity; globals of the standard library and of
    installed packages stay. The block's end, or an error, restores everything, also in modules that
    were imported meanwhile. An attribute that the block itself rebinds stays rebound. There is at most
    one patch for each attribute.
    """
    pairs = [(getattr(patch.owner, patch.name), patch) for patch in patches]
    pairs = [(real, patch._replace(value=_wrap_passthrough(patch.value, real))) for real, patch in pairs]
    known_modules = {real_id(module) for module in list_modules()}
    with ExitStack() as stack:
        unpatched = {real_id(patch.value): (patch.value, real) for real, patch in pairs}
        stack.callback(_unpatch_late_imports, unpatched, known_modules)
        for _, patch in pairs:
            _set_attribute(stack, patch.owner, patch.name, patch.value)
        # If one object has two names (torch.seed, torch.random.seed), the first patch replaces it.
        replacements = {real_id(real): (real, p.value) for real, p in reversed(pairs) if not p.owner_only}
        for module in list_modules():
            if is_user_module(module):
                for name, value in find_bindings(module, replacements):
                    _set_attribute(stack, module, name, value)
        for _, patch in pairs:
            if isinstance(patch.value, ProxyMeta) and not patch.value.owns_instances:
                stack.enter_context(_patch_pickling(patch.value))
        yield


def list_modules() -> list[ModuleType]:
    """The modules imported so far, without other objects in ``sys.modules``."""
    return [module for module in list(sys.modules.values()) if isinstance(module, ModuleType)]


def find_bindings(module: ModuleType, replacements: Mapping[int, tuple[Any, Any]]) -> list[tuple[str, Any]]:
    """Globals of *module* that hold one of the objects in *replacements*, and their new values.

    The module's ``__dict__`` is read directly, so that a lazy module does not load. *replacements* has for
    the id of an object the object, and its replacement.
    """
    return [
        (name, replacements[real_id(value)][1])
        for name, value in list(vars(module).items())
        if real_id(value) in replacements
    ]


def _set_attribute(stack: ExitStack, owner: Any, name: str, value: Any) -> None:
    before = vars(owner).get(name, _ABSENT)

    def restore() -> None:
        if vars(owner).get(name, _ABSENT) is value:
            delattr(owner, name) if before is _ABSENT else setattr(owner, name, before)

    stack.callback(restore)
    setattr(owner, name, value)


def _unpatch_late_imports(originals: Mapping[int, tuple[Any, Any]], known_modules: set[int]) -> None:
    for module in list_modules():
        if real_id(module) not in known_modules or is_user_module(module):
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
def pass_through(lines: Iterable[str]) -> Iterator[None]:
    """In the block, calls from *lines* (``"/abs/file.py:12"``) reach the real functions.

    This is how one finds out which line matters.
    """
    before = set(_PASSTHROUGH_LINES)
    _PASSTHROUGH_LINES.update(lines)
    try:
        yield
    finally:
        _PASSTHROUGH_LINES.clear()
        _PASSTHROUGH_LINES.update(before)


def is_passthrough(frame: FrameType) -> bool:
    """Whether a call that *frame* makes comes from a line of :func:`pass_through`."""
    origin = call_origin(frame) if _PASSTHROUGH_LINES else None
    return origin is not None and format_location(origin.frame) in _PASSTHROUGH_LINES


def _wrap_passthrough(value: Any, real: Callable[..., Any]) -> Any:
    """*value*, wrapped to call *real* for lines of :func:`pass_through`. Classes are not wrapped."""
    if not _PASSTHROUGH_LINES or isinstance(value, type) or not callable(value):
        return value

    def dispatch(*args: Any, **kwargs: Any) -> Any:
        return (real if is_passthrough(sys._getframe(1)) else value)(*args, **kwargs)

    return functools.update_wrapper(dispatch, value) if hasattr(value, "__name__") else dispatch


class ProxyMeta(type):
    """The type of proxies: they compare, hash and check instances as the real class does.

    Attributes:
        real: The class that the proxy replaces; set on the proxy itself, not on its subclasses.
        owns_instances: Whether calling the proxy makes instances of the proxy, not of *real*.
    """

    real: type
    owns_instances: bool

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if "real" in vars(cls) and not cls.owns_instances:
            return cls.real(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.real) if "real" in vars(cls) else super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls.real) if "real" in vars(cls) else super().__subclasscheck__(subclass)

    # A dict keyed by type that the block builds is looked up with the types of real instances.
    def __eq__(cls, other: object) -> bool:
        return cls is other or ("real" in vars(cls) and bool(cls.real == other))

    def __hash__(cls) -> int:
        return hash(cls.real) if "real" in vars(cls) else super().__hash__()


def make_proxy_class(real: Any, members: Mapping[str, object], owns_instances: bool = False) -> type:
    """A class that behaves as *real* except for *members*: methods of classes in C cannot be replaced.

    Args:
        real: A class that can be subclassed; may be a proxy, since blocks nest.
        members: Methods by name.
        owns_instances: Whether instances are of the proxy, which instance methods require; they
            pickle as instances of *real*.
    """

    def reduce_ex(self: Any, protocol: Any = 4) -> Any:
        reduced_class, *rest = real.__reduce_ex__(self, protocol)
        return (original if reduced_class is proxy else reduced_class, *rest)

    original = real
    while isinstance(original, ProxyMeta):
        original = original.real
    body = {name: getattr(real, name) for name in ("__module__", "__qualname__", "__doc__")}
    body |= {"real": real, "owns_instances": owns_instances}
    body |= {"__reduce_ex__": reduce_ex} if owns_instances else {}
    metaclass: Any = type(real)
    proxy: type = _get_metaclass(metaclass)(real.__name__, (real,), {**body, **members})
    return proxy


@functools.cache
def _get_metaclass(metaclass: type) -> type[ProxyMeta]:
    """A :class:`ProxyMeta` that also derives from *metaclass*, as torch.Generator needs."""
    if issubclass(metaclass, ProxyMeta):
        return metaclass
    return ProxyMeta if metaclass is type else type("ProxyMeta", (ProxyMeta, metaclass), {})


@contextmanager
def _patch_pickling(proxy: ProxyMeta) -> Iterator[None]:
    """In the block, instances of the real class pickle as instances of *proxy*, which has its name."""

    def reduce_to_proxy(instance: Any) -> Any:
        _, *rest = instance.__reduce_ex__(4)
        return (proxy, *rest)

    before: Any = copyreg.dispatch_table.get(proxy.real, _ABSENT)
    copyreg.pickle(proxy.real, reduce_to_proxy)
    try:
        yield
    finally:
        if before is _ABSENT:
            copyreg.dispatch_table.pop(proxy.real, None)
        else:
            copyreg.dispatch_table[proxy.real] = before
