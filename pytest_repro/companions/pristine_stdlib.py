"""The modules that start interpreters and talk to them, as they were before a test patched them."""

from __future__ import annotations

import builtins
import inspect
import io
import json
import os
import os.path
import queue
import select
import selectors
import shlex
import signal
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_NAMESPACES: tuple[Any, ...] = (
    builtins, inspect, io, json, os, os.path, queue, select, selectors, shlex, signal, struct, subprocess,
    subprocess.Popen, tempfile, threading, threading.Thread, time,
)  # fmt: skip
_SKIPPED_NAMES = {"__dict__", "__weakref__", "__doc__"}


class PristineModules:
    """The public names of a few modules and classes, as they are at construction.

    With a mock of ``subprocess.Popen``, execnet would read for ever.
    """

    def __init__(self) -> None:
        self._originals = [(owner, _get_public_names(owner)) for owner in _NAMESPACES]

    @contextmanager
    def restore(self) -> Iterator[None]:
        """Restores them for a block, then puts back what replaced them."""
        replaced: list[tuple[Any, str, Any]] = []
        try:
            for owner, originals in self._originals:
                current = vars(owner)
                for name in [name for name, value in originals.items() if current.get(name) is not value]:
                    replaced.append((owner, name, current.get(name, _Absent)))
                    setattr(owner, name, originals[name])
            yield
        finally:
            for owner, name, value in reversed(replaced):
                delattr(owner, name) if value is _Absent else setattr(owner, name, value)


class _Absent:
    """Marks a name that was deleted."""


def _get_public_names(owner: Any) -> dict[str, Any]:
    is_class = isinstance(owner, type)  # dunder methods get patched too: Popen.__init__
    return {n: v for n, v in vars(owner).items() if (n not in _SKIPPED_NAMES if is_class else n[0] != "_")}
