"""Which module runs, and when a loader draws a seed for its workers."""

from __future__ import annotations

import functools
import inspect
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from pytest_repro.adapters._draw_origin import BoundaryCallback, DrawOrigin
from pytest_repro.interpose.user_frames import call_origin, classify_code, format_location


def format_path(name: str) -> str:
    """``head.2.weight`` as a path: ``.head[2].weight``; ``""`` for ``""``."""
    return re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", f".{name}") if name else ""


@contextmanager
def watch_draws(on_boundary: BoundaryCallback) -> Iterator[None]:
    """Has *on_boundary* told, in this thread, of each module that is entered or left.

    Args:
        on_boundary: Told of the innermost module that has run until then.
    """
    watch = _ModuleWatcher(on_boundary)
    with ExitStack() as stack:
        stack.callback(register_module_forward_pre_hook(watch.enter_module).remove)
        # Called also where forward raises: else all that follows would stand below it.
        stack.callback(register_module_forward_hook(watch.leave_module, always_call=True).remove)
        stack.enter_context(_watch_loaders(watch))
        yield


class _ModuleWatcher:
    """Knows the modules that are running, the innermost last."""

    def __init__(self, on_boundary: BoundaryCallback) -> None:
        self._on_boundary, self._thread = on_boundary, threading.get_ident()
        self._running: list[torch.nn.Module] = []

    @property
    def in_own_thread(self) -> bool:
        return threading.get_ident() == self._thread

    def enter_module(self, module: torch.nn.Module, args: Any) -> None:
        if self.in_own_thread:
            self.report_boundary()
            self._running.append(module)

    def leave_module(self, module: torch.nn.Module, args: Any, result: Any) -> None:
        if self.in_own_thread and any(each is module for each in self._running):
            self.report_boundary()
            while self._running.pop() is not module:
                pass

    def report_boundary(self, get_origin: Callable[[], DrawOrigin] | None = None) -> None:
        """Looks: what moved, *get_origin* moved, else the innermost module."""
        frame = sys._getframe(2)
        if get_origin is None and self._running:
            root, inner = self._running[0], self._running[-1]
            self._on_boundary(lambda: _describe_origin(root, inner, frame))
        else:
            self._on_boundary(get_origin)


def _describe_origin(root: torch.nn.Module, module: torch.nn.Module, frame: FrameType) -> DrawOrigin:
    path = next((name for name, each in root.named_modules() if each is module), None)
    if path is None:  # called by a module that does not hold it
        root, path = module, ""
    mode = "training" if module.training else "evaluation"
    return DrawOrigin(
        root,
        format_path(path),
        f"{type(module).__qualname__}, {mode}",
        _locate_forward(module) or _locate_user_line(frame),
    )


def _locate_forward(module: torch.nn.Module) -> str:
    """Where the forward pass is written, if the user did: which of its lines drew is not known."""
    # Of a scripted module, asking the class for it fails.
    code = getattr(inspect.getattr_static(type(module), "forward", None), "__code__", None)
    if code is None or classify_code(code.co_filename, type(module).__module__) != "user":
        return ""
    return f"{os.path.abspath(code.co_filename)}:{code.co_firstlineno}"


def _locate_user_line(frame: FrameType) -> str:
    # Found without tracing: it is told under a debugger and a coverage tool, too.
    asked = call_origin(frame)
    return format_location(asked.frame) if asked is not None else ""


@contextmanager
def _watch_loaders(watcher: _ModuleWatcher) -> Iterator[None]:
    """Each iteration of a ``DataLoader`` draws a seed for workers, whether it has any or not."""
    owner: Any = getattr(torch.utils.data.dataloader, "_BaseDataLoaderIter", None)
    if owner is None:  # a private name: left alone once it is gone
        yield
        return
    real = owner.__init__

    @functools.wraps(real)
    def init_iterator(self: Any, loader: Any, *args: Any, **named: Any) -> None:
        if watcher.in_own_thread:
            watcher.report_boundary()
        real(self, loader, *args, **named)
        if watcher.in_own_thread:
            frame = sys._getframe(1)
            what = f"{type(loader).__qualname__}, a seed for its workers"
            watcher.report_boundary(
                lambda: DrawOrigin(loader, "", what, _locate_user_line(frame), seeding=True)
            )

    owner.__init__ = init_iterator
    try:
        yield
    finally:
        owner.__init__ = real
