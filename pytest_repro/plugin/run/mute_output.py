"""Drops what a rehearsal prints past pytest's capturing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr, redirect_stdout
from functools import partial
from typing import Any

import pytest


class _MutedStream:
    """A stream that drops what is written to it while it is muted.

    What keeps it (a logging handler set up in a test) writes to the real stream after the rehearsals.
    """

    def __init__(self, real: Any) -> None:
        self._real, self._muted = real, True

    def write(self, text: Any) -> Any:
        return len(text) if self._muted else self._real.write(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    @property
    def buffer(self) -> _MutedStream:
        below = _MutedStream(self._real.buffer)
        below._muted = self._muted
        return below

    def unmute(self) -> None:
        self._muted = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@contextmanager
def mute_output(config: pytest.Config) -> Iterator[None]:
    """Drops output where pytest does not capture it (``-s``), or shows what it captures.

    So does ``capsys.disabled()``, which prints past all capturing.
    """
    plugin: Any = config.pluginmanager.get_plugin("capturemanager")
    disable = getattr(plugin, "global_and_fixture_disabled", None)
    if disable is not None:
        plugin.global_and_fixture_disabled = partial(_disable_and_mute, plugin, disable)
    how = getattr(config.option, "capture", None)
    shown = _mute_streams() if how == "no" else _mute_tee(plugin) if how == "tee-sys" else nullcontext()
    try:
        with shown:
            yield
    finally:
        if disable is not None:
            del plugin.global_and_fixture_disabled


@contextmanager
def _mute_streams() -> Iterator[None]:
    out, err = _MutedStream(sys.stdout), _MutedStream(sys.stderr)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            yield
    finally:
        out.unmute()
        err.unmute()


@contextmanager
def _disable_and_mute(plugin: Any, disable: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    captured: tuple[Any, Any] | None = None  # a fixture may disable it: the next phase is captured again
    try:
        with disable(), _mute_streams():
            try:
                yield
            finally:
                if plugin.is_globally_capturing() and plugin._global_capturing.is_started():
                    captured = sys.stdout, sys.stderr
    finally:
        if captured is not None:
            sys.stdout, sys.stderr = captured


@contextmanager
def _mute_tee(plugin: Any) -> Iterator[None]:
    streams = [getattr(plugin._global_capturing, name) for name in ("out", "err")]
    tees = [s.tmpfile for s in streams if hasattr(getattr(s, "tmpfile", None), "_other")]
    others = [tee._other for tee in tees]
    for tee in tees:
        tee._other = _MutedStream(tee._other)
    try:
        yield
    finally:
        for tee, other in zip(tees, others):
            tee._other = other
