"""Imports modules in the world as it is without the plugin.

A module that is imported in a run may draw numbers, request entropy, read a clock, or derive a C type from a
class. It must not shift what the run draws, and must not meet the proxy of a class: a C type that derives
from one crashes the interpreter.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from pytest_repro.interpose.environ import keep_variables
from pytest_repro.interpose.patch import unpatched

Leave = Callable[[], AbstractContextManager[None]]

_importlib: Any = sys.modules["_frozen_importlib"]  # importlib._bootstrap
_find_and_load = _importlib._find_and_load


class _ImportGuard:
    """Leaves all guarded blocks while any thread imports a module."""

    def __init__(self) -> None:
        self.blocks: list[Leave] = []
        self._thread = threading.local()
        self._lock, self._importing_threads, self._outside = threading.Lock(), 0, ExitStack()

    def find_and_load(self, name: str, import_: Any) -> Any:
        """Replaces the function that the import statement and :func:`importlib.import_module` call."""
        # An import within an import takes no lock: it already holds the lock of the outer module.
        if not self.blocks or name in sys.modules or vars(self._thread):
            return _find_and_load(name, import_)
        self._thread.is_importing = True
        try:
            with self._left_blocks(), keep_variables(sys._getframe(1)):
                return _find_and_load(name, import_)
        finally:
            del self._thread.is_importing

    @contextmanager
    def _left_blocks(self) -> Iterator[None]:
        with self._lock:
            if not self._importing_threads:
                self._outside.enter_context(unpatched())
                for leave in reversed(self.blocks):
                    self._outside.enter_context(leave())
            self._importing_threads += 1
        try:
            yield
        finally:
            with self._lock:
                self._importing_threads -= 1
                if not self._importing_threads:
                    self._outside.close()


_guard = _ImportGuard()


@contextmanager
def guard_imports(leave: Leave) -> Iterator[None]:
    """In the block, modules are imported without patches, and in a context that *leave* returns.

    Args:
        leave: Returns a context in which what the block has set is as it was before.
    """
    _guard.blocks.append(leave)
    _importlib._find_and_load = _guard.find_and_load
    try:
        yield
    finally:
        _guard.blocks.remove(leave)
        if not _guard.blocks and _importlib._find_and_load == _guard.find_and_load:
            _importlib._find_and_load = _find_and_load
