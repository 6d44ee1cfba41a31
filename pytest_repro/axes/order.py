"""The order of directory listings, which no file system promises."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

from pytest_repro.axes import Axis
from pytest_repro.core.plan import BadArgument

T = TypeVar("T")


class Order(Axis):
    """``order=True`` or a number of shuffles; value 0 leaves listings as they are.

    ``os.listdir`` and ``os.scandir`` are replaced, and with them ``glob``, ``os.walk`` and
    ``pathlib``. A name bound before (``from os import listdir``) is out of reach.
    """

    look_for: ClassVar = ("os.listdir, glob or Path.iterdir without sorted()",)

    def values(self, given: object) -> tuple[object, ...]:
        number = int(given) if isinstance(given, (bool, int)) else 0
        if number < 1:
            raise BadArgument(self.name, given, "True, or a number of shuffles, 1 or more")
        return tuple(range(number + 1))

    def written(self, values: tuple[object, ...]) -> str:
        return f"{self.name}={len(values) - 1}"

    def read(self, text: str) -> object:
        return int(text) if text.isdecimal() else text

    @contextmanager
    def applied(self, value: object) -> Iterator[None]:
        if not value:
            yield
            return
        listdir, scandir = _listdir(value), _scandir(value)
        with _replaced(os, "listdir", listdir), _replaced(os, "scandir", scandir), _pathlib_of_310():
            yield

    def called(self, value: object) -> str:
        return f"listings shuffled ({value})" if value else "listings as given"

    def between(self, reference: object, value: object) -> str:
        return "directory listings as given and shuffled"


def shuffled(entries: list[T], names: list[Any], seed: object) -> list[T]:
    """*entries* in another order than they have, which hangs on *names* and *seed* alone.

    A directory that is listed twice keeps its order, as on a real file system.
    """
    if len(entries) < 2:
        return entries
    ranked = sorted(range(len(entries)), key=lambda i: names[i])
    found = list(ranked)
    random.Random(f"{seed} {[names[i] for i in ranked]}").shuffle(found)
    if found == list(range(len(entries))):
        found.reverse()
    return [entries[i] for i in found]


def _listdir(seed: object) -> Callable[..., list[Any]]:
    real = os.listdir

    def listdir(*path: Any, **named: Any) -> list[Any]:
        entries = real(*path, **named)
        return shuffled(entries, entries, seed)

    return listdir


class _Entries:
    """What ``os.scandir`` gives: an iterator that is closed."""

    def __init__(self, entries: list[Any]) -> None:
        self._left = iter(entries)

    def __iter__(self) -> _Entries:
        return self

    def __next__(self) -> Any:
        return next(self._left)

    def __enter__(self) -> _Entries:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._left = iter(())


def _scandir(seed: object) -> Callable[..., _Entries]:
    real = os.scandir

    def scandir(*path: Any, **named: Any) -> _Entries:
        with real(*path, **named) as found:
            entries = list(found)
        return _Entries(shuffled(entries, [entry.name for entry in entries], seed))

    return scandir


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def _pathlib_of_310() -> Iterator[None]:
    """Python 3.10's pathlib keeps the functions it lists with."""
    import pathlib

    accessor = getattr(pathlib, "_NormalAccessor", None)
    if accessor is None:
        yield
        return
    listdir, scandir = staticmethod(os.listdir), staticmethod(os.scandir)
    with _replaced(accessor, "listdir", listdir), _replaced(accessor, "scandir", scandir):
        yield


axis = Order()
