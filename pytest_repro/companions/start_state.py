"""This process as it was before any test: tests may forget to undo changes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import Thread
from typing import Any

_RESTORED_MODULES = (
    "builtins", "inspect", "io", "json", "os", "os.path", "queue", "select", "selectors", "shlex", "signal",
    "struct", "subprocess", "tempfile", "threading", "time",
)  # fmt: skip
"""The modules that start interpreters and talk to them."""
_SKIPPED_NAMES = {"__dict__", "__weakref__", "__doc__"}
_ABSENT = object()


class StartState:
    """What other interpreters get of this process.

    Attributes:
        thread_count: Number of threads torch uses; 0 if it is not imported.
    """

    def __init__(self) -> None:
        self.paths, self.environ, self.argv = list(sys.path), dict(os.environ), list(sys.argv)
        self.pristine_modules = PristineModules()
        torch: Any = sys.modules.get("torch")
        self.thread_count = int(torch.get_num_threads()) if hasattr(torch, "get_num_threads") else 0


class PristineModules:
    """The public names of a few modules and classes, as they are at construction.

    With a test's mock of ``subprocess.Popen``, execnet would read for ever.
    """

    def __init__(self) -> None:
        owners: list[Any] = [*map(import_module, _RESTORED_MODULES), subprocess.Popen, Thread]
        self._originals = [(owner, _get_public_names(owner)) for owner in owners]

    @contextmanager
    def restore(self) -> Iterator[None]:
        """Restores them for a block, then puts back what replaced them."""
        replaced: list[tuple[Any, str, Any]] = []
        try:
            for owner, originals in self._originals:
                current = vars(owner)
                for name in [name for name, value in originals.items() if current.get(name) is not value]:
                    replaced.append((owner, name, current.get(name, _ABSENT)))
                    setattr(owner, name, originals[name])
            yield
        finally:
            for owner, name, value in reversed(replaced):
                delattr(owner, name) if value is _ABSENT else setattr(owner, name, value)


def _get_public_names(owner: Any) -> dict[str, Any]:
    is_class = isinstance(owner, type)  # dunder methods get patched too: Popen.__init__
    return {n: v for n, v in vars(owner).items() if (n not in _SKIPPED_NAMES if is_class else n[0] != "_")}
