"""The order of directory listings, which no file system guarantees."""

from __future__ import annotations

import glob
import os
import pathlib
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from pytest_repro.axes import CountedAxis
from pytest_repro.interpose.patch import Patch, make_patch, patch_everywhere

T = TypeVar("T")

Reordering = Callable[[list[Any], list[Any]], list[Any]]
"""Takes entries, names or ``DirEntry``, and their names, text or bytes; returns the entries reordered."""


class Order(CountedAxis):
    """``order=True`` or a number of shuffles; value 0 leaves listings as they are.

    Replaces ``os.listdir`` and ``os.scandir``, on which ``glob``, ``os.walk`` and ``pathlib`` build,
    also where a module has bound them (``from os import listdir``).
    """

    counted = "shuffles"
    cause_name = "file-order"
    hints = ("os.listdir, glob or Path.iterdir without sorted()",)

    def applied(self, value: object) -> AbstractContextManager[None]:
        if not value:
            return nullcontext()
        return reorder_listings(lambda entries, names: shuffle_entries(entries, names, value))

    def format_value(self, value: object) -> str:
        return f"listings shuffled ({value})" if value else "listings as given"

    def format_pair(self, reference: object, value: object) -> str:
        return "directory listings as given and shuffled"


def shuffle_entries(entries: list[T], names: list[Any], seed: object) -> list[T]:
    """*entries* in another order, which depends only on *names* and *seed*.

    So a directory that is listed twice keeps its order, as on a real file system.
    """
    if len(entries) < 2:
        return entries
    by_name = sorted(range(len(entries)), key=lambda i: names[i])
    shuffled = list(by_name)
    random.Random(f"{seed} {[names[i] for i in by_name]}").shuffle(shuffled)
    if shuffled == list(range(len(entries))):
        shuffled.reverse()
    return [entries[i] for i in shuffled]


def reorder_listings(reorder: Reordering) -> AbstractContextManager[None]:
    """Passes every directory listing through *reorder*, for a block."""
    real_listdir, real_scandir = os.listdir, os.scandir

    def listdir(*path: Any, **named: Any) -> list[Any]:
        entries = real_listdir(*path, **named)
        return reorder(entries, entries)

    def scandir(*path: Any, **named: Any) -> _ScandirIterator:
        with real_scandir(*path, **named) as iterator:
            entries = list(iterator)
        return _ScandirIterator(reorder(entries, [entry.name for entry in entries]))

    patches = [make_patch(os, "listdir", listdir), make_patch(os, "scandir", scandir)]
    return patch_everywhere([*patches, *_make_class_patches(patches)])


class _ScandirIterator(Iterator[Any]):
    """Stands in for the iterator that ``os.scandir`` returns."""

    def __init__(self, entries: list[Any]) -> None:
        self._iterator = iter(entries)

    def __next__(self) -> Any:
        return next(self._iterator)

    def __enter__(self) -> _ScandirIterator:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._iterator = iter(())


def _make_class_patches(patches: Iterable[Patch]) -> Iterator[Patch]:
    """Patches for the classes of Python 3.10 and 3.13 that hold references to the functions."""
    for owner in (getattr(pathlib, "_NormalAccessor", None), getattr(glob, "_StringGlobber", None)):
        for _, name, value, _ in patches:
            if getattr(owner, name, None) is getattr(os, name):
                yield Patch(owner, name, staticmethod(value), owner_only=True)


axis = Order()
