"""Imports modules in the world as it is without the plugin.

A module that is imported in a run may draw numbers, request entropy, read a clock, or derive a C type from a
class. It must not shift what the run draws, and must not meet the proxy of a class: a C type that derives
from one crashes the interpreter. A module that is executed again (``importlib.reload``, ``exec_module``) is
part of the run.
"""

from __future__ import annotations

import _imp
import _thread
import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_repro.interpose.environ import keep_variables
from pytest_repro.interpose.patch import unpatched
from pytest_repro.interpose.user_frames import (
    call_origin,
    classify_frame,
    format_location,
    get_module_name,
    walk_up,
)

if TYPE_CHECKING:
    from pytest_repro.core.diagnose import ExternalCall

Leave = Callable[[], AbstractContextManager[None]]

_importlib: Any = sys.modules["_frozen_importlib"]  # importlib._bootstrap
_lazy_module: Any = vars(importlib.util)["_LazyModule"]
_IMPORTING_MODULES = ("importlib", "importlib._bootstrap", "_frozen_importlib", "_pytest.outcomes")
_get_module_lock, _find_spec = _importlib._get_module_lock, _importlib._find_spec


class _Block(NamedTuple):
    """A block of :func:`guard_imports`, its thread, and the number of other threads when it began."""

    leave: Leave
    thread: int
    other_threads: int


class _Import(threading.local):
    """The outermost import of the present thread.

    Attributes:
        outside: Restores the blocks when it ends; None if there is no import.
        is_outside: Whether the blocks are left: a module was found, and is about to be loaded.
    """

    outside: ExitStack | None = None
    is_outside = False


_blocks: list[_Block] = []
_logs: list[list[ExternalCall]] = []
_import = _Import()


class _Unpatching:
    """Undoes all patches while any thread loads a module."""

    def __init__(self) -> None:
        self._lock, self._threads, self._stack = threading.Lock(), 0, ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._threads:
                self._stack.enter_context(unpatched())
            self._threads += 1

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._threads -= 1
            if not self._threads:
                self._stack.close()

    def forget_other_threads(self) -> None:
        """A fork has one thread only."""
        self._lock, self._threads = threading.Lock(), int(_import.is_outside)
        if not self._threads:
            self._stack.close()


_unpatching = _Unpatching()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unpatching.forget_other_threads)


def _begin_import() -> bool:
    """Whether it is the outermost import of this thread, which must end with :func:`_end_import`."""
    if _import.outside is not None:
        return False
    _import.outside, _import.is_outside = ExitStack(), False
    return True


def _end_import() -> None:
    try:
        if _import.outside is not None:
            _import.outside.close()
    finally:
        _import.outside, _import.is_outside = None, False


def _leave_blocks() -> None:
    if _import.outside is None or _import.is_outside:
        return
    _import.is_outside = True
    _import.outside.enter_context(keep_variables(sys._getframe(1)))
    _import.outside.enter_context(_unpatching)
    for block in reversed(_blocks):
        # What another thread draws meanwhile belongs to the run, which then does not count.
        if block.thread == _thread.get_ident() and _thread._count() <= block.other_threads:
            _import.outside.enter_context(block.leave())


class _GuardedLock:
    """Replaces a module's lock of importlib, which is held while it is imported.

    Unlike a function around the import, it leaves no frame in its traceback.
    """

    def __init__(self, name: str) -> None:
        self._name, self._lock = name, _get_module_lock(name)
        self._is_new, self._is_outermost = name not in sys.modules, False

    def acquire(self) -> None:
        self._lock.acquire()
        self._is_outermost = self._is_new and _begin_import()

    def release(self) -> None:
        self._lock.release()
        if self._is_outermost:
            _end_import()
            if _logs and self._name in sys.modules:
                _log_import(self._name, sys._getframe(1))


def _log_import(name: str, frame: FrameType) -> None:
    """Logs the import of *name* that *frame* makes, unless this package or pytest makes it."""
    from pytest_repro.core.diagnose import ExternalCall  # log_imports() has imported it

    importer = next(each for each in walk_up(frame) if get_module_name(each) not in _IMPORTING_MODULES)
    origin = call_origin(importer)
    if origin is not None and classify_frame(importer) not in ("runner", "none"):
        via = "" if importer is origin.frame else origin.via
        for log in _logs:
            log.append(ExternalCall(name, "import", format_location(origin.frame), via))


@contextmanager
def log_imports() -> Iterator[list[ExternalCall]]:
    """The modules that are imported in the block, by import statements outside of modules."""
    importlib.import_module("pytest_repro.core.diagnose")  # not while another module is imported
    log: list[ExternalCall] = []
    _logs.append(log)
    try:
        yield log
    finally:
        _logs[:] = [each for each in _logs if each is not log]


def _find_and_leave(name: str, path: Any, target: Any = None) -> Any:
    """Leaves the blocks once a module is found: failed imports of optional libraries stay fast."""
    spec = _find_spec(name, path, target)
    if spec is not None:
        _leave_blocks()
    return spec


def _load_outside(load: Callable[..., Any]) -> Callable[..., Any]:
    """*load*, which loads a module apart from the import statement."""

    def call(*args: Any) -> Any:
        is_outermost = _begin_import()
        try:
            _leave_blocks()
            return load(*args)
        finally:
            if is_outermost:
                _end_import()

    hidden: Callable[..., Any] = _hide(call)
    return hidden


def _hide(function: Any) -> Any:
    """*function*, which the import statement takes for its own and removes from tracebacks."""
    code = function.__code__.replace(co_filename=_find_spec.__code__.co_filename)
    function.__code__ = code.replace(co_name="_call_with_frames_removed")
    return function


_hooks = [
    (owner, name, getattr(owner, name), make(getattr(owner, name)))
    for owner, name, make in (
        (_importlib, "_get_module_lock", lambda _: _GuardedLock),
        (_importlib, "_find_spec", lambda _: _hide(_find_and_leave)),
        (_imp, "create_dynamic", _load_outside),
        (_imp, "exec_dynamic", _load_outside),
        (_lazy_module, "__getattribute__", _load_outside),
    )
]


@contextmanager
def guard_imports(leave: Leave) -> Iterator[None]:
    """In the block, modules are imported without patches, and in a context that *leave* returns.

    Args:
        leave: Returns a context in which what the block has set is as it was before. It is not called for an
            import in a thread that the block has started, or while there is one.
    """
    block = _Block(leave, _thread.get_ident(), _thread._count())
    if not _blocks:
        for owner, name, _, replacement in _hooks:
            setattr(owner, name, replacement)
    _blocks.append(block)
    try:
        yield
    finally:
        _blocks.remove(block)
        for owner, name, original, replacement in () if _blocks else _hooks:
            if getattr(owner, name) is replacement:
                setattr(owner, name, original)
