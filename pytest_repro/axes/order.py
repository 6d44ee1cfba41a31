"""The order of directory listings, which no file system promises."""

from __future__ import annotations

import glob
import os
import pathlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

from pytest_repro.axes import Axis
from pytest_repro.core.plan.plan import BadArgument
from pytest_repro.interpose.patch import Swap, renamed, replaced_everywhere

T = TypeVar("T")

Arrange = Callable[[list[Any], list[Any]], list[Any]]
"""Puts entries in another order, given their names."""


class Order(Axis):
    """``order=True`` or a number of shuffles; value 0 leaves listings as they are.

    ``os.listdir`` and ``os.scandir`` are replaced, and with them ``glob``, ``os.walk`` and
    ``pathlib``, as well where a user's module has bound them (``from os import listdir``).
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
        with arranged(lambda entries, names: shuffled(entries, names, value)):
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


@contextmanager
def arranged(arrange: Arrange) -> Iterator[None]:
    """Every listing of a directory comes as *arrange* puts it, for a block.

    Args:
        arrange: Is given the entries, names or ``DirEntry``, and their names, text or bytes.
    """
    listdir, scandir = _listdir(arrange), _scandir(arrange)
    swaps = [Swap(os, "listdir", listdir), Swap(os, "scandir", scandir)]
    with replaced_everywhere([*swaps, *_bound_in_classes(listdir, scandir)]):
        yield


def _listdir(arrange: Arrange) -> Callable[..., list[Any]]:
    real = os.listdir

    def listdir(*path: Any, **named: Any) -> list[Any]:
        entries = real(*path, **named)
        return arrange(entries, entries)

    return renamed(listdir, real, os, "listdir")


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


def _scandir(arrange: Arrange) -> Callable[..., _Entries]:
    real = os.scandir

    def scandir(*path: Any, **named: Any) -> _Entries:
        with real(*path, **named) as found:
            entries = list(found)
        return _Entries(arrange(entries, [entry.name for entry in entries]))

    return renamed(scandir, real, os, "scandir")


def _bound_in_classes(*made: Callable[..., Any]) -> Iterator[Swap]:
    """Classes of Python's own that keep the functions they list with: 3.10's and 3.13's."""
    for owner in (getattr(pathlib, "_NormalAccessor", None), getattr(glob, "_StringGlobber", None)):
        for each in made:
            if getattr(owner, each.__name__, None) is getattr(os, each.__name__):
                yield Swap(owner, each.__name__, staticmethod(each), only_there=True)


axis = Order()
