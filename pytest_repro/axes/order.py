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
from pytest_repro.interpose.patch import Patch, copy_identity, patch_everywhere

T = TypeVar("T")

Reordering = Callable[[list[Any], list[Any]], list[Any]]
"""Puts entries in another order, given their names."""


class Order(Axis):
    """``order=True`` or a number of shuffles; value 0 leaves listings as they are.

    ``os.listdir`` and ``os.scandir`` are replaced, and with them ``glob``, ``os.walk`` and
    ``pathlib``, as well where a user's module has bound them (``from os import listdir``).
    """

    hints: ClassVar = ("os.listdir, glob or Path.iterdir without sorted()",)

    def resolve_values(self, argument: object) -> tuple[object, ...]:
        number = int(argument) if isinstance(argument, (bool, int)) else 0
        if number < 1:
            raise BadArgument(self.name, argument, "True, or a number of shuffles, 1 or more")
        return tuple(range(number + 1))

    def format_option(self, values: tuple[object, ...]) -> str:
        return f"{self.name}={len(values) - 1}"

    def parse_option(self, text: str) -> object:
        return int(text) if text.isdecimal() else text

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
def reorder_listings(reorder: Reordering) -> Iterator[None]:
    """Every listing of a directory comes as *reorder* puts it, for a block.

    Args:
        reorder: Is given the entries, names or ``DirEntry``, and their names, text or bytes.
    """
    listdir, scandir = _make_listdir(reorder), _make_scandir(reorder)
    swaps = [Patch(os, "listdir", listdir), Patch(os, "scandir", scandir)]
    with patch_everywhere([*swaps, *_make_class_patches(listdir, scandir)]):
        yield


def _make_listdir(reorder: Reordering) -> Callable[..., list[Any]]:
    real = os.listdir

    def listdir(*path: Any, **named: Any) -> list[Any]:
        entries = real(*path, **named)
        return reorder(entries, entries)

    return copy_identity(listdir, real, os, "listdir")


class _ScandirIterator:
    """What ``os.scandir`` gives: an iterator that is closed."""

    def __init__(self, entries: list[Any]) -> None:
        self._iterator = iter(entries)

    def __iter__(self) -> _ScandirIterator:
        return self

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
        with real(*path, **named) as found:
            entries = list(found)
        return _ScandirIterator(reorder(entries, [entry.name for entry in entries]))

    return copy_identity(scandir, real, os, "scandir")


def _make_class_patches(*replacements: Callable[..., Any]) -> Iterator[Patch]:
    """Classes of Python's own that keep the functions they list with: 3.10's and 3.13's."""
    for owner in (getattr(pathlib, "_NormalAccessor", None), getattr(glob, "_StringGlobber", None)):
        for each in replacements:
            if getattr(owner, each.__name__, None) is getattr(os, each.__name__):
                yield Patch(owner, each.__name__, staticmethod(each), owner_only=True)


axis = Order()
