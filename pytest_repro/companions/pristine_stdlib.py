"""What interpreters are started and spoken to with, whatever a test has put in its place."""

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
    """The public names of a few modules and classes, as they are when this is made.

    A mock of ``subprocess.Popen`` answers whatever it is asked: execnet would read from it for ever.
    """

    def __init__(self) -> None:
        self._originals = [(owner, _get_public_names(owner)) for owner in _NAMESPACES]

    @contextmanager
    def restore(self) -> Iterator[None]:
        """In the block they mean what they meant; after it what was put there since."""
        replaced: list[tuple[Any, str, Any]] = []
        try:
            for owner, kept in self._originals:
                now = vars(owner)
                for name in [name for name, value in kept.items() if now.get(name) is not value]:
                    replaced.append((owner, name, now.get(name, _Absent)))
                    setattr(owner, name, kept[name])
            yield
        finally:
            for owner, name, value in reversed(replaced):
                delattr(owner, name) if value is _Absent else setattr(owner, name, value)


class _Absent:
    """Stands for a name that was taken away."""


def _get_public_names(owner: Any) -> dict[str, Any]:
    own = isinstance(owner, type)  # a class's dunders are patched as well: Popen.__init__
    return {n: v for n, v in vars(owner).items() if (n not in _SKIPPED_NAMES if own else n[0] != "_")}
