"""torch on one thread, from its import on: a process that is to be forked must not have started others.

OpenMP keeps the threads of the first parallel op for the next one. In a fork they are gone, and its
first parallel op waits for them for ever: one ``torch.randn(2_000_000).exp()`` at the top of a test
module is enough.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


@contextmanager
def single_threaded(threads_after: int) -> Iterator[None]:
    """In the block torch computes on one thread, also where it is imported there.

    Args:
        threads_after: Number that it is given afterwards; 0: as many as it had.
    """
    watch = _TorchFinder()
    sys.meta_path.insert(0, watch)
    if "torch" in sys.modules:
        watch.limit_threads(sys.modules["torch"])
    try:
        yield
    finally:
        sys.meta_path.remove(watch)
        if watch.previous_threads:
            sys.modules["torch"].set_num_threads(threads_after or watch.previous_threads)


def get_thread_count() -> int:
    """How many threads torch has in this process; 0 where it is not imported."""
    torch: Any = sys.modules.get("torch")
    return int(torch.get_num_threads()) if hasattr(torch, "get_num_threads") else 0


class _TorchFinder:
    """Finds torch by those who find it otherwise, and limits it as soon as it is loaded."""

    previous_threads = 0

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "torch":
            return None
        others = (each for each in sys.meta_path if each is not self)
        spec = next((found for each in others if (found := each.find_spec(name, path, target))), None)
        loader: Any = spec.loader if spec is not None else None
        if loader is not None:
            loads = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                loads(module)
                self.limit_threads(module)

            with suppress(AttributeError):  # a loader with slots: others than Python's own
                loader.exec_module = exec_module
        return spec

    def limit_threads(self, torch: Any) -> None:
        """Leaves *torch* one thread."""
        self.previous_threads = torch.get_num_threads()
        torch.set_num_threads(1)
