"""The order of a directory listing, which no file system guarantees."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from pytest_repro.axes.order import reorder_listings
from pytest_repro.causes import Cause, WatchedFunction

_EFFECT = "returns entries in the order of the file system"
_SORT_BOTH = "folders.sort(); files.sort()"


def _watch(function: str, sorted_code: str, label: str = "") -> WatchedFunction:
    return WatchedFunction(function, _EFFECT, f"sort them: {sorted_code}", label)


def sort_by_name(entries: list[Any], names: list[Any]) -> list[Any]:
    """*entries* in the order of their names."""
    return [entries[i] for i in sorted(range(len(entries)), key=names.__getitem__)]


class FileOrder(Cause):
    """``os.listdir``, ``os.scandir``, ``glob``, ``os.walk``, ``pathlib``: suspended, sorted by name.

    Not suspended: listings by another program or by compiled code.
    """

    explanation = "an order comes from the file system"
    fix = "sort the listing: sorted(os.listdir(folder))"
    watched_functions = (
        _watch("os:listdir", "sorted(os.listdir(folder))"),
        _watch("os:scandir", "sorted(os.scandir(folder), key=lambda entry: entry.name)"),
        _watch("os:walk", f"for path, folders, files in os.walk(top): {_SORT_BOTH}"),
        _watch("os:fwalk", f"for path, folders, files, _ in os.fwalk(top): {_SORT_BOTH}"),
        _watch("glob:glob", "sorted(glob.glob(pattern))"),
        _watch("glob:iglob", "sorted(glob.iglob(pattern))"),
        _watch("pathlib:Path.iterdir", "sorted(folder.iterdir())", "Path.iterdir()"),
        _watch("pathlib:Path.glob", "sorted(folder.glob(pattern))", "Path.glob()"),
        _watch("pathlib:Path.rglob", "sorted(folder.rglob(pattern))", "Path.rglob()"),
        _watch("pathlib:Path.walk", f"for path, folders, files in top.walk(): {_SORT_BOTH}", "Path.walk()"),
    )

    def suspend(self, seed: int, variant: str = "") -> AbstractContextManager[None]:
        return reorder_listings(sort_by_name)


cause = FileOrder()
