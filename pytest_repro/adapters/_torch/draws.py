"""What of torch draws: modules as they run, and loaders, also in their workers, batch by batch."""

from __future__ import annotations

import functools
import inspect
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from itertools import islice
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils.data import get_worker_info

from pytest_repro.adapters import BoundaryCallback, DrawOrigin
from pytest_repro.adapters._find_generators import FoundGenerator, find_generators, iter_user_globals
from pytest_repro.interpose.code_owner import classify_code
from pytest_repro.interpose.seeding import Effect
from pytest_repro.interpose.user_frames import call_origin, format_location


@functools.lru_cache(maxsize=4096)  # each takes 20 µs, a module has hundreds
def format_path(name: str) -> str:
    """``.head[2].weight`` for ``head.2.weight``; ``""`` for ``""``."""
    return re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", f".{name}") if name else ""


@contextmanager
def watch_draws(on_boundary: BoundaryCallback) -> Iterator[None]:
    """In the block, calls *on_boundary* when a module begins or ends in this thread."""
    watcher = _ModuleWatcher(on_boundary)
    with ExitStack() as stack:
        stack.callback(register_module_forward_pre_hook(watcher.enter_module).remove)
        # Also if forward raises: otherwise later modules would seem to run inside it.
        stack.callback(register_module_forward_hook(watcher.leave_module, always_call=True).remove)
        stack.callback(_hook_loaders(watcher))
        yield


class _ModuleWatcher:
    """Keeps the stack of running modules."""

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
        if self.in_own_thread and any(running is module for running in self._running):
            self.report_boundary()
            while self._running.pop() is not module:
                pass

    def report_boundary(self, get_origin: Callable[[], DrawOrigin] | None = None) -> None:
        """Ends a part: draws until now are of *get_origin*, by default of the innermost module."""
        frame = sys._getframe(2)
        if get_origin is None and self._running:
            root, inner = self._running[0], self._running[-1]
            self._on_boundary(lambda: _describe_origin(root, inner, frame))
        else:
            self._on_boundary(get_origin)


def _describe_origin(root: torch.nn.Module, module: torch.nn.Module, frame: FrameType) -> DrawOrigin:
    path = next((name for name, submodule in root.named_modules() if submodule is module), None)
    if path is None:  # not a submodule of its caller
        root, path = module, ""
    label = f"{type(module).__qualname__}, {'training' if module.training else 'evaluation'}"
    return DrawOrigin(root, format_path(path), label, _locate_forward(module) or _locate_user_line(frame))


def _locate_forward(module: torch.nn.Module) -> str:
    """Location of ``forward`` if the user wrote it. Which of its lines drew is unknown."""
    # getattr on the class of a scripted module raises.
    code = getattr(inspect.getattr_static(type(module), "forward", None), "__code__", None)
    if code is None or classify_code(code.co_filename, type(module).__module__) != "user":
        return ""
    return f"{os.path.abspath(code.co_filename)}:{code.co_firstlineno}"


def _locate_user_line(frame: FrameType) -> str:
    # Without sys.settrace, so that it also works under a debugger and a coverage tool.
    origin = call_origin(frame)
    return format_location(origin.frame) if origin is not None else ""


def _hook_loaders(watcher: _ModuleWatcher) -> Callable[[], None]:
    """Reports the seed that each iterator of a ``DataLoader`` draws for workers; returns what unhooks."""
    owner: Any = getattr(torch.utils.data.dataloader, "_BaseDataLoaderIter", None)
    if owner is None:  # private: torch may remove it
        return lambda: None
    real = owner.__init__

    @functools.wraps(real)
    def init_iterator(self: Any, loader: Any, *args: Any, **kwargs: Any) -> None:
        if watcher.in_own_thread:
            watcher.report_boundary()
        real(self, loader, *args, **kwargs)
        if watcher.in_own_thread:
            frame, label = sys._getframe(1), f"{type(loader).__qualname__}, a seed for its workers"
            watcher.report_boundary(lambda: DrawOrigin(loader, "", label, _locate_user_line(frame), True))

    owner.__init__ = init_iterator
    return functools.partial(setattr, owner, "__init__", real)


def iter_seeding_functions() -> Iterator[tuple[Any, str, Effect]]:
    """What sets the default generators. A loader draws a seed for workers, which it may not have."""
    names: dict[str, Effect] = {
        "manual_seed": "seeds", "manual_seed_all": "seeds", "seed": "seeds", "seed_all": "seeds",
        "set_rng_state": "restores", "set_rng_state_all": "restores",
    }  # fmt: skip
    owners = [torch, torch.random]
    if torch.backends.cuda.is_built():
        owners += [torch.cuda, torch.cuda.random]
    for owner in (*owners, *([torch.mps] if torch.backends.mps.is_built() else ())):
        yield from ((owner, name, effect) for name, effect in names.items() if hasattr(owner, name))
    loader: Any = getattr(torch.utils.data.dataloader, "_BaseDataLoaderIter", None)
    if loader is not None:
        yield loader, "__init__", "advances"


class BatchStates(NamedTuple):
    """What a worker (0 if there is none) sends instead of a batch: digests of generator states by name."""

    worker: int
    before: dict[str, str]
    after: dict[str, str]


def _find_dataset_generators(dataset: object) -> list[FoundGenerator]:
    return find_generators([("dataset", dataset), *iter_user_globals()])


def _digest_states(dataset: object) -> dict[str, str]:
    states = {generator.name: generator.read() or "" for generator in _find_dataset_generators(dataset)}
    return {name: blake2b(state.encode(), digest_size=16).hexdigest() for name, state in states.items()}


class _WorkerHooks:
    """Replaces a loader's ``worker_init_fn`` and ``collate_fn``; a copy is sent to each worker."""

    def __init__(self, loader: Any) -> None:
        self._worker_init_fn, self._collate_fn = loader.worker_init_fn, loader.collate_fn
        self._dataset = loader.dataset
        self._before: dict[str, str] = {}

    def init_worker(self, worker: int) -> None:
        if self._worker_init_fn is not None:
            self._worker_init_fn(worker)
        self.record_states()

    def record_states(self) -> None:
        info = get_worker_info()
        # A worker has a copy of the dataset, and its init function may have replaced that.
        self._dataset = self._dataset if info is None else info.dataset
        self._before = _digest_states(self._dataset)

    def collate(self, items: Any) -> BatchStates:
        self._collate_fn(items)  # which may draw; its result is not sent
        info, before = get_worker_info(), self._before
        self._before = _digest_states(self._dataset)
        return BatchStates(0 if info is None else info.id, before, self._before)


def iter_epoch_states(loader: Any, epochs: int, max_batches: int) -> Iterator[list[BatchStates]]:
    """The states of each epoch. The loader, and every generator of this process, are restored."""
    hooks = _WorkerHooks(loader)
    with ExitStack() as stack:
        for name in ("worker_init_fn", "collate_fn", "_iterator"):
            if hasattr(loader, name):
                stack.callback(setattr, loader, name, getattr(loader, name))
        for generator in _find_dataset_generators(loader.dataset):
            if (state := generator.read()) is not None:
                stack.callback(generator.restore, state)
        loader.worker_init_fn, loader.collate_fn = hooks.init_worker, hooks.collate
        if hasattr(loader, "_iterator"):  # persistent workers have the old functions
            loader._iterator = None
        for _ in range(epochs):
            batches = iter(loader)
            if not loader.num_workers:
                hooks.record_states()
            yield list(islice(batches, max_batches))
