"""What a rehearsal prints past pytest's capturing, which drops the rest by itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import pytest


class _Sink:
    """The stream it stands for, but for what is written to it.

    Whoever keeps it (a logging handler set up in a test) writes to the real stream once the
    rehearsals are over.
    """

    def __init__(self, real: Any) -> None:
        self._real, self._muted = real, True

    def write(self, text: Any) -> Any:
        return len(text) if self._muted else self._real.write(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    @property
    def buffer(self) -> _Sink:
        below = _Sink(self._real.buffer)
        below._muted = self._muted
        return below

    def unmute(self) -> None:
        self._muted = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@contextmanager
def muted_output(config: pytest.Config) -> Iterator[None]:
    """Where pytest does not capture (``-s``), or shows what it captures, output is dropped."""
    how = config.getoption("capture", None)
    with ExitStack() as stack:
        stack.enter_context(_capture_disabled(config))
        if how == "no":
            stack.enter_context(_muted())
        if how == "tee-sys":
            stack.enter_context(_without_tee(config))
        yield


@contextmanager
def _muted() -> Iterator[None]:
    out, err = _Sink(sys.stdout), _Sink(sys.stderr)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            yield
    finally:
        out.unmute()
        err.unmute()


@contextmanager
def _capture_disabled(config: pytest.Config) -> Iterator[None]:
    """``capsys.disabled()`` prints past all capturing."""
    plugin: Any = config.pluginmanager.get_plugin("capturemanager")
    way = getattr(plugin, "global_and_fixture_disabled", None)
    if way is None:
        yield
        return

    @contextmanager
    def disabled() -> Iterator[None]:
        with way(), _muted():
            yield

    plugin.global_and_fixture_disabled = disabled
    try:
        yield
    finally:
        del plugin.global_and_fixture_disabled


@contextmanager
def _without_tee(config: pytest.Config) -> Iterator[None]:
    plugin: Any = config.pluginmanager.get_plugin("capturemanager")
    streams = [getattr(plugin._global_capturing, name) for name in ("out", "err")]
    tees = [s.tmpfile for s in streams if hasattr(getattr(s, "tmpfile", None), "_other")]
    others = [tee._other for tee in tees]
    for tee in tees:
        tee._other = _Sink(tee._other)
    try:
        yield
    finally:
        for tee, other in zip(tees, others):
            tee._other = other
