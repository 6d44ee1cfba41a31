"""Setup of a process that runs experiments: its memory layout, torch's threads, its imports."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import random
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from importlib import import_module
from importlib.machinery import ModuleSpec
from itertools import compress
from types import ModuleType
from typing import Any

from pytest_repro.interpose.code_owner import is_user_module

_SIZE_RANGES = (16, 496), (512, 4096)
"""Bytes per filler object. Python serves up to 512 bytes from pools by size and larger blocks
(classes, tables of dicts, small tensors) from malloc."""

_POOL_SIZES = range(0, 480, 16)
"""Bytes of content of one object for each of Python's pools, whose objects have 33 bytes more."""


@contextmanager
def shifted_heap(object_count: int = 20_000, layout: int = 1) -> Iterator[None]:
    """Changes the addresses of objects created in the block, by filling gaps between filler objects.

    Args:
        object_count: Number of filler objects; 0 leaves addresses as they are.
        layout: Seed of the sizes and gaps.
    """
    sizes, order = draw_fillers(object_count, layout)
    # Gaps that the process happens to have would take the first objects: they are filled for good.
    plugs = [bytes(size) for size in _POOL_SIZES for _ in range(object_count // 20)]
    # The garbage collector does not track bytes, so len(gc.get_objects()) stays the same.
    fillers = [*map(bytes, sizes)]
    fillers = [fillers[number] for number in order]
    del fillers[::2]
    yield
    fillers.clear()
    plugs.clear()


@cache
def draw_fillers(object_count: int = 20_000, layout: int = 1) -> tuple[array[int], array[int]]:
    """The sizes of the objects of :func:`shifted_heap`, and the order in which every second one goes.

    A process that draws them before it is forked saves each fork 25 ms.
    """
    draw = random.Random(layout)
    sizes = array("I", (draw.randrange(*_SIZE_RANGES[draw.random() < 0.1]) for _ in range(object_count)))
    order = array("I", range(object_count))
    draw.shuffle(order)
    return sizes, order


def digest_layout() -> str:
    """A digest of the addresses of objects that hash by them and are tracked: functions, classes, modules.

    The garbage collector lists them in the order in which they were made, but for what only some forks refer
    to: the partial functions that a fork is started with.
    """
    by_address: Any = object.__hash__
    objects = gc.get_objects()
    kinds = [*map(id, map(type, objects))]  # a metaclass may not be hashable
    wanted = {number: kind.__hash__ is by_address for number, kind in zip(kinds, map(type, objects))}
    wanted[id(partial)] = False
    addresses = array("Q", map(id, compress(objects, map(wanted.__getitem__, kinds))))
    return hashlib.blake2b(addresses.tobytes(), digest_size=16).hexdigest()


@contextmanager
def single_threaded(threads_after: int) -> Iterator[None]:
    """Limits torch to one thread in the block, even if the block is the first to import it.

    OpenMP keeps the threads of the first parallel op for later ones. A fork does not inherit them, and its
    first parallel op waits for them forever: one ``torch.randn(2_000_000).exp()`` at the top of a test module
    is enough.

    Args:
        threads_after: Number of threads after the block; 0 restores the previous number.
    """
    finder = _TorchFinder()
    sys.meta_path.insert(0, finder)
    if "torch" in sys.modules:
        finder.limit_threads(sys.modules["torch"])
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        if finder.previous_threads:
            sys.modules["torch"].set_num_threads(threads_after or finder.previous_threads)


def get_cpu_seconds() -> float:
    """Processor time of this process and of its children that have ended, in seconds."""
    return sum(os.times()[:4])


def get_thread_count() -> int:
    """Number of threads torch uses in this process; 0 if torch is not imported."""
    torch: Any = sys.modules.get("torch")
    return int(torch.get_num_threads()) if hasattr(torch, "get_num_threads") else 0


class _TorchFinder:
    """A meta path finder that limits torch's threads right after torch is imported."""

    previous_threads = 0

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "torch":
            return None
        specs = (each.find_spec(name, path, target) for each in sys.meta_path if each is not self)
        spec = next((spec for spec in specs if spec), None)
        loader: Any = spec.loader if spec is not None else None
        if loader is not None:
            with suppress(AttributeError):  # a loader with slots, which is not one of Python's
                loader.exec_module = partial(self._load, loader.exec_module)
        return spec

    def _load(self, load: Callable[[ModuleType], None], module: ModuleType) -> None:
        load(module)
        self.limit_threads(module)

    def limit_threads(self, torch: Any) -> None:
        self.previous_threads = torch.get_num_threads()
        torch.set_num_threads(1)


def report_imports(function: Callable[[], bytes]) -> bytes:
    """The result of *function*, after a line with the modules it imported, for :func:`preload_imports`.

    Lists only submodules of libraries that were imported before: importing these computes nothing,
    while a new library may do anything, and the user's own modules are part of the experiment.
    """
    before = set(sys.modules)
    packages = {name.partition(".")[0] for name in before}
    result = function()
    new = [name for name in list(sys.modules) if name not in before and name.partition(".")[0] in packages]
    modules = {name: sys.modules[name] for name in new}
    names = [name for name, module in modules.items() if not (module is None or is_user_module(module))]
    return b"\n".join([json.dumps(names).encode(), result])


def preload_imports(message: bytes) -> bytes:
    """The result in *message*, which is from :func:`report_imports`; imports the modules listed there.

    Later forks inherit them: an optimiser's first step imports ``torch._dynamo``, 2.5 s per fork.
    """
    names, _, result = message.partition(b"\n")
    for name in json.loads(names):
        if name not in sys.modules:
            with suppress(Exception):  # a module that only the fork could import
                import_module(name)
    return result
