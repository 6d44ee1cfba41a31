"""Proxies for classes written in C, whose methods cannot be replaced one by one."""

from __future__ import annotations

import copyreg
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any


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


@cache
def _get_metaclass(metaclass: type) -> type[ProxyMeta]:
    """A :class:`ProxyMeta` that also derives from *metaclass*, as torch.Generator needs."""
    if issubclass(metaclass, ProxyMeta):
        return metaclass
    return ProxyMeta if metaclass is type else type("ProxyMeta", (ProxyMeta, metaclass), {})


@contextmanager
def patch_pickling(proxy: ProxyMeta) -> Iterator[None]:
    """In the block, instances of the real class pickle as instances of *proxy*, which has its name."""

    def reduce_to_proxy(instance: Any) -> Any:
        _, *rest = instance.__reduce_ex__(4)
        return (proxy, *rest)

    before: Any = copyreg.dispatch_table.get(proxy.real)
    copyreg.pickle(proxy.real, reduce_to_proxy)
    try:
        yield
    finally:
        if before is None:
            copyreg.dispatch_table.pop(proxy.real, None)
        else:
            copyreg.dispatch_table[proxy.real] = before
