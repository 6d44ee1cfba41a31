"""The base class of what writes a file of merged tests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from pytest_repro.cli.merge.merged_test import MergedTest
from pytest_repro.cli.merge.shard_set import ShardSet
from pytest_repro.core.files import replace_file

_COPY_BYTES = 2**20


class Writer:
    """A consumer of tests that writes a file; the beginning is known last, so items wait in another file."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self.item_count = 0

    def __call__(self, test: MergedTest) -> None:
        """Takes one test."""
        raise NotImplementedError

    def encode(self, found: ShardSet) -> Iterator[str | bytes]:
        """The whole file, in pieces."""
        raise NotImplementedError

    def save(self, path: Path, found: ShardSet) -> None:
        """Writes the file, or raises :class:`OSError`."""
        replace_file(path, self.encode(found))

    def write_item(self, text: str) -> None:
        """Adds an item."""
        self._file.write(text.encode("utf-8", "backslashreplace"))
        self.item_count += 1

    def read_items(self) -> Iterator[bytes]:
        """All items, in pieces."""
        self._file.seek(0)
        yield from iter(lambda: self._file.read(_COPY_BYTES), b"")

    def close(self) -> None:
        """Removes the temporary file."""
        self._file.close()
