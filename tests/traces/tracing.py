"""Functions for the tests of traces."""

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


def trace_call(call: Callable[[], object], thorough: bool = False) -> Trace:
    with trace(thorough) as found:
        call()
    return found


def op_names(found: Trace) -> list[str]:
    """Names of the ops without ``aten.``."""
    return [op.name.removeprefix("aten.") for op in found]


def find_op(found: Sequence[Op], name: str) -> Op:
    """The only op with this *name*, given without ``aten.``."""
    (op,) = [op for op in found if op.name.removeprefix("aten.") == name]
    return op


def find_divergence(a: Callable[[], object], b: Callable[[], object], thorough: bool = False) -> Divergence:
    """The first divergence of two calls, which must diverge."""
    found = first_divergence(trace_call(a, thorough), trace_call(b, thorough))
    assert found is not None
    return found


def have_equal_traces(a: Callable[[], object], b: Callable[[], object]) -> bool:
    """Whether the traces of two calls are equal and not empty."""
    left, right = trace_call(a), trace_call(b)
    assert len(left)
    return first_divergence(left, right) is None


def find_line(of: Callable[..., object], mark: str) -> str:
    """Location of the line in the function *of* that ends with *mark*."""
    lines, start = inspect.getsourcelines(of)
    (at,) = [number for number, text in enumerate(lines, start) if text.rstrip().endswith(mark)]
    return f"{inspect.getsourcefile(of)}:{at}"


def run_untraced(call: Callable[[], T]) -> T:
    """Runs *call* on another thread, where it is not traced."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


@contextmanager
def custom_op(schema: str, compute: Callable[..., Any], namespace: str = "repro_tests") -> Iterator[Any]:
    """An op whose kernel is *compute*: torch sees one op, whatever the kernel does."""
    library: Any = torch.library.Library(namespace, "FRAGMENT")
    name = library.define(schema)
    library.impl(name, compute, "CompositeExplicitAutograd")
    try:
        yield getattr(getattr(torch.ops, namespace), name)
    finally:
        library._destroy()
