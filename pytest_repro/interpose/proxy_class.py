"""Classes that stand in for classes of C, whose methods cannot be replaced one by one."""

from __future__ import annotations

import copyreg
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

_IMMUTABLE = 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE


def is_immutable(cls: type) -> bool:
    """Whether the methods of *cls* cannot be replaced."""
    return bool(cls.__flags__ & _IMMUTABLE)


class ProxyMeta(type):
    """The type of stand-ins: whoever asks, they are the real class.

    Attributes:
        real: The class stood in for, on the stand-in itself.
        owns_instances: Whether a stand-in's instances are its own; else they are the real class's.
    """

    real: type
    owns_instances: bool

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if "real" in vars(cls) and not cls.owns_instances:
            return cls.real(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        if "real" in vars(cls):
            return isinstance(instance, cls.real)
        return super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        if "real" in vars(cls):
            return issubclass(subclass, cls.real)
        return super().__subclasscheck__(subclass)

    # A table by type, made inside the block, is asked for the types of real instances.
    def __eq__(cls, other: object) -> bool:
        return cls is other or ("real" in vars(cls) and bool(cls.real == other))

    def __hash__(cls) -> int:
        return hash(cls.real) if "real" in vars(cls) else super().__hash__()


def make_proxy_class(real: Any, members: Mapping[str, object], owns_instances: bool = False) -> type:
    """A class that is *real* but for *members*.

    Args:
        real: A class that can be subclassed; may be a stand-in itself, since blocks nest.
        members: Methods by name.
        owns_instances: Whether its instances are its own, which methods of instances need, and pickle as
            those of *real*; else it is a name alone, and what it makes are instances of *real*.
    """

    def reduce_ex(self: Any, protocol: Any = 4) -> Any:
        kind, *rest = real.__reduce_ex__(self, protocol)
        return (home if kind is made else kind, *rest)

    home = real
    while isinstance(home, ProxyMeta):
        home = home.real
    told = {"__module__": real.__module__, "__qualname__": real.__qualname__, "__doc__": real.__doc__}
    own = {"__reduce_ex__": reduce_ex} if owns_instances else {}
    body = {**told, "real": real, "owns_instances": owns_instances, **own, **members}
    meta: Any = type(real)
    made: type = _get_metaclass(meta)(real.__name__, (real,), body)
    return made


@cache
def _get_metaclass(meta: type) -> type[ProxyMeta]:
    """The type of stand-ins for classes that have a metaclass of their own, as torch.Generator."""
    if issubclass(meta, ProxyMeta):
        return meta
    return ProxyMeta if meta is type else type("StandIn", (ProxyMeta, meta), {})


@contextmanager
def patch_pickling(proxy: ProxyMeta) -> Iterator[None]:
    """Instances of the real class pickle by the name that the stand-in has taken."""

    def reduce_to_proxy(instance: Any) -> Any:
        _, *rest = instance.__reduce_ex__(4)
        return (proxy, *rest)

    real, table = proxy.real, copyreg.dispatch_table
    before = table.get(real)
    copyreg.pickle(real, reduce_to_proxy)
    try:
        yield
    finally:
        if before is None:
            table.pop(real, None)
        else:
            table[real] = before
