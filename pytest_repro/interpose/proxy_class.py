"""Classes that stand in for classes of C, whose methods cannot be replaced one by one."""

from __future__ import annotations

import copyreg
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

_IMMUTABLE = 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE


def immutable(kind: type) -> bool:
    """Whether the methods of *kind* cannot be replaced."""
    return bool(kind.__flags__ & _IMMUTABLE)


class StandIn(type):
    """The type of stand-ins: whoever asks, they are the real class.

    Attributes:
        real: The class stood in for, on the stand-in itself.
        makes: Whether a stand-in's instances are its own; else they are the real class's.
    """

    real: type
    makes: bool

    def __call__(cls, *args: Any, **named: Any) -> Any:
        if "real" in vars(cls) and not cls.makes:
            return cls.real(*args, **named)
        return super().__call__(*args, **named)

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


def stand_in(real: Any, members: Mapping[str, object], makes: bool = False) -> type:
    """A class that is *real* but for *members*.

    Args:
        real: A class that can be subclassed; may be a stand-in itself, since blocks nest.
        members: Methods by name.
        makes: Whether its instances are its own, which methods of instances need, and pickle as
            those of *real*; else it is a name alone, and what it makes are instances of *real*.
    """

    def reduced(self: Any, protocol: Any = 4) -> Any:
        kind, *rest = real.__reduce_ex__(self, protocol)
        return (home if kind is made else kind, *rest)

    home = real
    while isinstance(home, StandIn):
        home = home.real
    told = {"__module__": real.__module__, "__qualname__": real.__qualname__, "__doc__": real.__doc__}
    own = {"__reduce_ex__": reduced} if makes else {}
    body = {**told, "real": real, "makes": makes, **own, **members}
    meta: Any = type(real)
    made: type = _kind_for(meta)(real.__name__, (real,), body)
    return made


@cache
def _kind_for(meta: type) -> type[StandIn]:
    """The type of stand-ins for classes that have a metaclass of their own, as torch.Generator."""
    if issubclass(meta, StandIn):
        return meta
    return StandIn if meta is type else type("StandIn", (StandIn, meta), {})


@contextmanager
def pickled(made: StandIn) -> Iterator[None]:
    """Instances of the real class pickle by the name that the stand-in has taken."""

    def reduced(instance: Any) -> Any:
        _, *rest = instance.__reduce_ex__(4)
        return (made, *rest)

    real, table = made.real, copyreg.dispatch_table
    before = table.get(real)
    copyreg.pickle(real, reduced)
    try:
        yield
    finally:
        if before is None:
            table.pop(real, None)
        else:
            table[real] = before
