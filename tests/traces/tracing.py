"""What the tests of traces ask for: a trace of a call, and where two calls part."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from pytest_repro import Divergence, Trace, first_divergence, trace
from pytest_repro.core.trace.trace import Op

T = TypeVar("T")


def traced(call: Callable[[], object], thorough: bool = False) -> Trace:
    """The trace of *call*."""
    with trace(thorough) as found:
        call()
    return found


def names(found: Trace) -> list[str]:
    """Names of the ops, without ``aten.``."""
    return [op.name.removeprefix("aten.") for op in found]


def only(found: Sequence[Op], name: str) -> Op:
    """The one op called *name*, without ``aten.``."""
    (op,) = [op for op in found if op.name.removeprefix("aten.") == name]
    return op


def parted(a: Callable[[], object], b: Callable[[], object], thorough: bool = False) -> Divergence:
    """Where *a* and *b* part."""
    found = first_divergence(traced(a, thorough), traced(b, thorough))
    assert found is not None
    return found


def agree(a: Callable[[], object], b: Callable[[], object]) -> bool:
    """Whether *a* and *b* have the same trace, and not an empty one."""
    left, right = traced(a), traced(b)
    assert len(left)
    return first_divergence(left, right) is None


def line(of: Callable[..., object], mark: str) -> str:
    """The line of *of* that ends in *mark*, as a trace says it."""
    lines, start = inspect.getsourcelines(of)
    (at,) = [number for number, text in enumerate(lines, start) if text.rstrip().endswith(mark)]
    return f"{inspect.getsourcefile(of)}:{at}"


def outside(call: Callable[[], T]) -> T:
    """What *call* gives, computed where no trace looks."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


@contextmanager
def kernel(schema: str, compute: Callable[..., Any], namespace: str = "repro_tests") -> Iterator[Any]:
    """An op whose kernel is *compute*: torch sees one op, whatever it does inside."""
    library: Any = torch.library.Library(namespace, "FRAGMENT")
    name = library.define(schema)
    library.impl(name, compute, "CompositeExplicitAutograd")
    try:
        yield getattr(getattr(torch.ops, namespace), name)
    finally:
        library._destroy()
