"""Environment variables that a framework sets."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

_environ: Any = os.environ


def _is_set(name: str) -> bool:
    try:
        return _environ.encodekey(name) in _environ._data  # 0.2 µs; os.environ raises and catches: 2 µs
    except AttributeError:  # private: Python may remove it
        return name in os.environ


@contextmanager
def restored_variables(names: Collection[str]) -> Iterator[None]:
    """Restores the environment variables of *names* after the block."""
    saved = {name: os.environ[name] for name in names if _is_set(name)}
    try:
        yield
    finally:
        for name in names:
            if name in saved:
                os.environ[name] = saved[name]
            elif _is_set(name):
                del os.environ[name]
