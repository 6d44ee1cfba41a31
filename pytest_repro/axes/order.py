"""The order of directory listings, which no file system guarantees."""

from __future__ import annotations

import glob
import os
import pathlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from pytest_repro.axes import CountedAxis
from pytest_repro.interpose.patch import Patch, copy_identity, patch_everywhere

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

    @contextmanager
    def applied(self, value: object) -> Iterator[None]:
        if not value:
            yield
            return
        with reorder_listings(lambda entries, names: shuffle_entries(entries, names, value)):
            yield

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


@contextmanager
def reorder_listings(reorder: Reordering) -> Iterator[None]:
    """Passes every directory listing through *reorder*, for a block."""
    listdir, scandir = _make_listdir(reorder), _make_scandir(reorder)
    patches = [Patch(os, "listdir", listdir), Patch(os, "scandir", scandir)]
    with patch_everywhere([*patches, *_make_class_patches(listdir, scandir)]):
        yield


def _make_listdir(reorder: Reordering) -> Callable[..., list[Any]]:
    real = os.listdir

    def listdir(*path: Any, **named: Any) -> list[Any]:
        entries = real(*path, **named)
        return reorder(entries, entries)

    return copy_identity(listdir, real, os, "listdir")


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


def _make_scandir(reorder: Reordering) -> Callable[..., _ScandirIterator]:
    real = os.scandir

    def scandir(*path: Any, **named: Any) -> _ScandirIterator:
        with real(*path, **named) as iterator:
            entries = list(iterator)
        return _ScandirIterator(reorder(entries, [entry.name for entry in entries]))

    return copy_identity(scandir, real, os, "scandir")


def _make_class_patches(*replacements: Callable[..., Any]) -> Iterator[Patch]:
    """Patches for the classes of Python 3.10 and 3.13 that hold references to the functions."""
    for owner in (getattr(pathlib, "_NormalAccessor", None), getattr(glob, "_StringGlobber", None)):
        for each in replacements:
            if getattr(owner, each.__name__, None) is getattr(os, each.__name__):
                yield Patch(owner, each.__name__, staticmethod(each), owner_only=True)


axis = Order()
