"""The dispatch mode: sees each op and calls it as if nobody watched."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils import _python_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

from pytest_repro.core.trace.columns import Columns
from pytest_repro.traces.backward_links import next_number
from pytest_repro.traces.digests import FAKE, plain
from pytest_repro.traces.known_memory import PLAIN_TENSORS
from pytest_repro.traces.op_reader import Step
from pytest_repro.traces.op_schema import Declared, declared
from pytest_repro.traces.writer import Writing, functions_watched

_UNWRAPPED = torch.Tensor.__torch_dispatch__


class Watching(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Has every op written down."""

    supports_higher_order_operators = True  # without it, torch refuses them under a mode

    def __init__(self, writing: Writing, thorough: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.writing = writing
        self.thorough = thorough
        self.ops: dict[int, Declared] = {}
        self.paused = False

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        """Compiled regions run as they do without us, unseen; else torch would not compile them."""
        return True

    def met(self, op: Any) -> Declared:
        """What is declared of *op*."""
        found = self.ops[id(op)] = declared(op)
        return found


def _dispatched(
    self: Watching, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
) -> Any:
    writing, kwargs = self.writing, kwargs or {}
    if types and any(each.__torch_dispatch__ is not _UNWRAPPED for each in types):
        if any(each.__name__ == FAKE for each in types):
            return func(*args, **kwargs)  # it has no values, and its mode below may not be declined
        return NotImplemented  # it calls ops on the tensors inside, which come here again
    if self.paused:
        return func(*args, **kwargs)
    op = self.ops.get(id(func)) or self.met(func)
    if op.passed:
        result = func(*args, **kwargs)
        if op.entering:
            writing.entered(result, sys._getframe())
        elif next_number() != writing.links.next:
            writing.passed(sys._getframe())
        return result
    others: list[Any] | None = None
    if op.simple and not self.thorough and not functions_watched():
        others = writing.known.all_of((*args, *kwargs.values()) if kwargs else args)
    step = writing.begun(op, args, kwargs) if others is None else Step()
    result = func(*args, **kwargs)
    if others is not None:
        if type(result) in PLAIN_TENSORS and writing.simply(op, others, result, sys._getframe()):
            return result
        step.inputs += [plain(others)] if others else []
    writing.ended(op, step, args, kwargs, result, sys._getframe())
    return result


# Set after the class is made: torch wraps what is defined in its body, and the wrapper imports
# torch._dynamo, 800 modules and 0.75 s, at the first op.
Watching.__torch_dispatch__ = _dispatched  # type: ignore[method-assign, assignment]


@contextmanager
def paused() -> Iterator[None]:
    """A block whose ops are not written down."""
    # A private name: where it is gone, such ops are written down.
    modes = getattr(_python_dispatch, "_get_current_dispatch_mode_stack", list[Any])()
    ours = [mode for mode in modes if isinstance(mode, Watching) and not mode.paused]
    for mode in ours:
        mode.paused = True
    try:
        yield
    finally:
        for mode in ours:
            mode.paused = False


@contextmanager
def watching(columns: Columns, thorough: bool) -> Iterator[None]:
    """Has every op of this thread written to *columns*."""
    writing = Writing(columns, thorough)
    try:
        with Watching(writing, thorough):
            yield
    finally:
        writing.close()
