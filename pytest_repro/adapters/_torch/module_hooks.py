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

from pytest_repro.adapters._draw_origin import Blame, Look
from pytest_repro.interpose.user_frames import line, origin, owner


def suffix(name: str) -> str:
    """``head.2.weight`` as a path: ``.head[2].weight``; ``""`` for ``""``."""
    return re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", f".{name}") if name else ""


@contextmanager
def watched(look: Look) -> Iterator[None]:
    """Has *look* told, in this thread, of each module that is entered or left.

    Args:
        look: Told of the innermost module that has run until then.
    """
    watch = _Watch(look)
    with ExitStack() as stack:
        stack.callback(register_module_forward_pre_hook(watch.enters).remove)
        # Called also where forward raises: else all that follows would stand below it.
        stack.callback(register_module_forward_hook(watch.leaves, always_call=True).remove)
        stack.enter_context(_loaders(watch))
        yield


class _Watch:
    """Knows the modules that are running, the innermost last."""

    def __init__(self, look: Look) -> None:
        self._look, self._thread = look, threading.get_ident()
        self._inside: list[torch.nn.Module] = []

    @property
    def here(self) -> bool:
        return threading.get_ident() == self._thread

    def enters(self, module: torch.nn.Module, args: Any) -> None:
        if self.here:
            self.looks()
            self._inside.append(module)

    def leaves(self, module: torch.nn.Module, args: Any, result: Any) -> None:
        if self.here and any(each is module for each in self._inside):
            self.looks()
            while self._inside.pop() is not module:
                pass

    def looks(self, who: Callable[[], Blame] | None = None) -> None:
        """Looks: what moved, *who* moved, else the innermost module."""
        frame = sys._getframe(2)
        if who is None and self._inside:
            root, inner = self._inside[0], self._inside[-1]
            self._look(lambda: _of(root, inner, frame))
        else:
            self._look(who)


def _of(root: torch.nn.Module, module: torch.nn.Module, frame: FrameType) -> Blame:
    path = next((name for name, each in root.named_modules() if each is module), None)
    if path is None:  # called by a module that does not hold it
        root, path = module, ""
    mode = "training" if module.training else "evaluation"
    return Blame(
        root, suffix(path), f"{type(module).__qualname__}, {mode}", _written(module) or _asked(frame)
    )


def _written(module: torch.nn.Module) -> str:
    """Where the forward pass is written, if the user did: which of its lines drew is not known."""
    # Of a scripted module, asking the class for it fails.
    code = getattr(inspect.getattr_static(type(module), "forward", None), "__code__", None)
    if code is None or owner(code.co_filename, type(module).__module__) != "user":
        return ""
    return f"{os.path.abspath(code.co_filename)}:{code.co_firstlineno}"


def _asked(frame: FrameType) -> str:
    # Found without tracing: it is told under a debugger and a coverage tool, too.
    asked = origin(frame)
    return line(asked.frame) if asked is not None else ""


@contextmanager
def _loaders(watch: _Watch) -> Iterator[None]:
    """Each iteration of a ``DataLoader`` draws a seed for workers, whether it has any or not."""
    owner: Any = getattr(torch.utils.data.dataloader, "_BaseDataLoaderIter", None)
    if owner is None:  # a private name: left alone once it is gone
        yield
        return
    real = owner.__init__

    @functools.wraps(real)
    def begins(self: Any, loader: Any, *args: Any, **named: Any) -> None:
        if watch.here:
            watch.looks()
        real(self, loader, *args, **named)
        if watch.here:
            frame = sys._getframe(1)
            what = f"{type(loader).__qualname__}, a seed for its workers"
            watch.looks(lambda: Blame(loader, "", what, _asked(frame), seeding=True))

    owner.__init__ = begins
    try:
        yield
    finally:
        owner.__init__ = real
