"""The order of a directory listing, which no file system promises."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from pytest_repro.axes.order import arranged
from pytest_repro.causes import Cause, Row

_SAYS = "gives entries in the order of the file system"


def _listing(where: str, sorting: str, what: str = "") -> Row:
    return Row(where, _SAYS, f"sort them: {sorting}", what)


def by_name(entries: list[Any], names: list[Any]) -> list[Any]:
    """*entries* in the order of their names."""
    return [entries[i] for i in sorted(range(len(entries)), key=names.__getitem__)]


class FileOrder(Cause):
    """``os.listdir``, ``os.scandir``, ``glob``, ``os.walk``, ``pathlib``: suspended, sorted by name.

    Out of reach: listings that another program or compiled code makes.
    """

    says = "an order comes from the file system"
    fix = "sort what was listed: sorted(os.listdir(folder))"
    rows: ClassVar[Sequence[Row]] = (
        _listing("os:listdir", "sorted(os.listdir(folder))"),
        _listing("os:scandir", "sorted(os.scandir(folder), key=lambda entry: entry.name)"),
        _listing("os:walk", "for path, folders, files in os.walk(top): folders.sort(); files.sort()"),
        _listing("os:fwalk", "for path, folders, files, _ in os.fwalk(top): folders.sort(); files.sort()"),
        _listing("glob:glob", "sorted(glob.glob(pattern))"),
        _listing("glob:iglob", "sorted(glob.iglob(pattern))"),
        _listing("pathlib:Path.iterdir", "sorted(folder.iterdir())", "Path.iterdir()"),
        _listing("pathlib:Path.glob", "sorted(folder.glob(pattern))", "Path.glob()"),
        _listing("pathlib:Path.rglob", "sorted(folder.rglob(pattern))", "Path.rglob()"),
        _listing("pathlib:Path.walk", "for path, folders, files in top.walk(): folders.sort(); files.sort()",
                 "Path.walk()"),
    )  # fmt: skip

    def suspended(self, seed: int) -> AbstractContextManager[None]:
        return arranged(by_name)


cause = FileOrder()
