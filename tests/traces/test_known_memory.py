"""Results of traced ops are no external inputs; everything else that an op reads is."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch

from pytest_repro import trace
from pytest_repro.core.trace.trace import Op, Trace
from pytest_repro.traces.known_memory import KnownMemory
from tests.traces.tracing import (
    custom_op,
    find_divergence,
    find_op,
    have_equal_traces,
    op_names,
    run_untraced,
    trace_call,
)


def count_inputs(op: Op) -> int:
    """Number of digested inputs of ``clone``, which has no arguments but tensors."""
    assert op.name == "aten.clone.default"
    return len(op.inputs)


def count_clone_inputs(found: Trace) -> list[int]:
    return [count_inputs(op) for op in found if op.name == "aten.clone.default"]


def test_inputs_are_digested_once() -> None:
    x = run_untraced(lambda: torch.rand(4))
    found = trace_call(lambda: (x.clone(), x.clone(), x.add(1).clone()))
    assert count_clone_inputs(found) == [1, 0, 0]
    assert found[0].inputs == found[0].outputs == found[1].outputs


def test_views_are_known_with_their_base() -> None:
    x = run_untraced(lambda: torch.rand(4, 4))
    found = trace_call(lambda: (x.clone(), x[1:].clone(), x.t().clone(), x.detach().view(2, 8)[:, 1].clone()))
    assert op_names(found) == ["clone.default"] * 4
    assert count_clone_inputs(found) == [1, 0, 0, 0]
    assert [bool(op.view) for op in found] == [False, True, False, True]


def test_parts_that_were_read_are_known() -> None:
    x = run_untraced(lambda: torch.rand(4))
    found = trace_call(lambda: (x[1:].clone(), x[1:].clone(), x[:1].clone(), x.clone(), x[:2].clone()))
    assert count_clone_inputs(found) == [1, 0, 1, 1, 0]


def test_reading_another_part_is_another_input() -> None:
    x = run_untraced(lambda: torch.tensor([1.0, 2.0]))
    indices = iter([0, 1])

    def program() -> None:
        x.clone()
        x[next(indices)].clone()

    found = find_divergence(program, program)
    assert (found.kind, found.op, found.index) == ("input", "aten.clone.default", 1)


def test_memory_written_in_place_is_known() -> None:
    x, y = run_untraced(lambda: (torch.rand(4), torch.rand(4)))

    def program() -> None:
        x.mul_(2)
        x.clone()
        y[:2].zero_()
        y[:2].clone()
        y[1:].clone()

    found = trace_call(program)
    assert op_names(found) == [
        "mul_.Tensor",
        "clone.default",
        "zero_.default",
        "clone.default",
        "clone.default",
    ]
    assert count_clone_inputs(found) == [0, 0, 1]
    assert found[0].outputs == found[1].outputs
    assert len(found[0].inputs) == 2  # x before, and 2
    assert found[2].inputs == ()


def test_out_arguments_are_not_read() -> None:
    x, y = run_untraced(lambda: (torch.ones(4), torch.rand(4)))
    found = trace_call(
        lambda: (torch.add(x, x, out=y), y.clone(), torch.add(x, x, out=torch.empty(0)).clone())
    )
    assert op_names(found) == ["add.out", "clone.default", "empty.memory_format", "add.out", "clone.default"]
    assert len(found[0].inputs) == 1
    assert found[0].outputs == found[1].outputs == found[3].outputs == found[4].outputs
    assert count_clone_inputs(found) == [0, 0]


def test_several_results_and_lists_of_tensors() -> None:
    x, rows = run_untraced(lambda: (torch.rand(4), [torch.rand(2), torch.rand(3)]))
    found = trace_call(lambda: (x.sort(), torch.cat(rows), torch._foreach_add_(rows, 1.0), torch.cat(rows)))
    assert op_names(found) == ["sort.default", "cat.default", "_foreach_add_.Scalar", "cat.default"]
    assert [len(op.outputs) for op in found] == [2, 1, 2, 1]
    assert found[0].kinds == ("float32[4]", "int64[4]")
    assert [len(op.inputs) for op in found] == [1, 3, 1, 1]


def test_order_of_a_list_counts() -> None:
    rows = run_untraced(lambda: [torch.zeros(2), torch.ones(2)])
    found = find_divergence(lambda: torch.stack(rows), lambda: torch.stack(rows[::-1]))
    assert (found.kind, found.op) == ("input", "aten.stack.default")


def test_plain_arguments_are_inputs() -> None:
    x = run_untraced(lambda: torch.rand(4))
    x.clone()
    assert have_equal_traces(lambda: x.add(2.0), lambda: x.add(2.0))
    for other in (lambda: x.add(3.0), lambda: x.add(2), lambda: x.add(2.0, alpha=2)):
        assert find_divergence(lambda: x.add(2.0), other).kind == "input"
    assert find_divergence(lambda: x.sum([0]), lambda: x.sum([0], keepdim=True)).kind == "input"


@pytest.mark.parametrize("shared", ["from_numpy", "as_tensor", "from_dlpack"])
def test_memory_of_numpy_is_digested_each_time(shared: str) -> None:
    def program(second: float) -> Callable[[], object]:
        def run() -> None:
            array = np.zeros(3, np.float32)
            t = getattr(torch, shared)(array)
            t.clone()
            array[1] = second
            t.clone()
            t.clone()

        return run

    assert count_clone_inputs(trace_call(program(1)))[-3:] == [1, 1, 1]
    found = find_divergence(program(1), program(2))
    assert (found.kind, found.op) == ("input", "aten.clone.default")
    assert found.index == len(trace_call(program(1))) - 2


def test_memory_exported_to_numpy_is_digested_each_time() -> None:
    def program(value: float) -> Callable[[], object]:
        def run() -> None:
            t = torch.zeros(3)
            t.clone()
            t.numpy()[1] = value
            t.clone()

        return run

    assert count_clone_inputs(trace_call(program(1))) == [0, 1]
    found = find_divergence(program(1), program(2))
    assert (found.kind, found.index) == ("input", 2)


def test_new_tensors_with_the_id_of_a_dead_one_are_unknown() -> None:
    """Addresses and storage objects are reused."""
    addresses, objects, count = set(), set(), 300
    with trace() as found:
        for number in range(count):
            torch.full((8,), number).clone()
            t = run_untraced(partial(torch.full, (8,), -number))
            addresses.add(t.data_ptr())
            objects.add(id(t.untyped_storage()))
            t.clone()
            del t
    assert len(addresses) < count / 2
    assert len(objects) < count / 2
    assert count_clone_inputs(found) == [0, 1] * count


def test_swapped_storage_is_unknown() -> None:
    x, other = run_untraced(lambda: (torch.zeros(4), torch.ones(4)))

    def program() -> None:
        x.clone()
        x.data = other
        x.clone()

    assert count_clone_inputs(trace_call(program)) == [1, 1]


def test_untraced_writes_to_known_memory_need_a_thorough_trace() -> None:
    """Known memory is not digested again, unless the trace is thorough."""
    values = iter([1.0, 2.0] * 2)

    def program() -> None:
        t = torch.zeros(4)
        run_untraced(lambda: t.fill_(next(values)))
        t.clone()

    assert find_divergence(program, program).kind == "value"
    assert find_divergence(program, program, thorough=True).kind == "input"


def test_a_thorough_trace_digests_all_inputs() -> None:
    def program() -> None:
        x = torch.ones(4)
        x.clone()
        x.mul(x)
        x.add_(1)

    found = trace_call(program, thorough=True)
    ones = found[0].outputs
    assert [op.inputs[:2] for op in found][1:3] == [ones, ones * 2]
    assert found[3].inputs[0] == ones[0]
    assert [op.inputs for op in trace_call(program)][1:3] == [(), ()]


@pytest.fixture
def filled() -> Callable[[], Any]:
    """Returns a function that makes tensors of different values, as uninitialized memory has."""
    values = iter(range(1, 1000))

    def fill(t: Any) -> Any:
        run_untraced(lambda: t.fill_(next(values)))
        return t

    return lambda: fill(torch.empty(4))


def test_uninitialized_memory_differs_where_it_is_read(filled: Callable[[], Any]) -> None:
    def program() -> None:
        filled()
        x = filled()
        x[:2].zero_()
        x[:2].clone()
        x.index_fill_(0, torch.tensor([2]), 7.0)
        x.clone()

    found = find_divergence(program, program)
    assert (found.kind, found.op, found.index) == ("input", "aten.clone.default", 6)
    assert find_op(trace_call(program), "index_fill_.int_Scalar").outputs == ("",)
    assert [op.outputs for op in trace_call(program)][:2] == [("",), ("",)]


def test_fully_written_memory_is_known(filled: Callable[[], Any]) -> None:
    def program() -> None:
        filled().zero_().clone()
        x = filled()
        x.copy_(torch.ones(4))
        x.index_fill_(0, torch.tensor([2]), 7.0)
        torch.ones(4, out=filled()).clone()

    assert have_equal_traces(program, program)
    assert find_op(trace_call(program), "index_fill_.int_Scalar").outputs != ("",)


def test_memory_added_by_resize_is_uninitialized() -> None:
    values = iter([1.0, 2.0])

    def program() -> None:
        t = torch.ones(2)
        t.resize_(4)
        run_untraced(lambda: t[2:].fill_(next(values)))
        t.clone()

    found = find_divergence(program, program)
    assert (found.kind, found.op, found.index) == ("input", "aten.clone.default", 2)


def test_dead_tensors_are_forgotten() -> None:
    known, others, ids, count = KnownMemory(), [], set(), 4000
    for _ in range(count):
        t = torch.empty(1)
        known.add_result(t)
        ids.add(id(t.untyped_storage()))
        del t
        others.append(torch.empty(1).untyped_storage())  # reuses the id of the dead one
    assert len(ids) > count / 2
    assert len(known._storages) < count / 2


def test_traces_use_at_most_140_bytes_per_op() -> None:
    t: Any = torch.ones(4, requires_grad=True)

    def loop() -> None:
        for _ in range(1_000):
            t.mul(2).sum().backward()

    trace_call(loop)
    tracemalloc.start()
    try:
        with trace() as found:
            loop()
            used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found) >= 4_000
    assert used / len(found) <= 140


def test_nondeterministic_kernel_differs_in_its_value() -> None:
    hidden = iter([0.0, 0.0, 2**-20, 0.0])
    with custom_op("oracle(Tensor x) -> Tensor", lambda x: x + next(hidden)) as oracle:

        def program() -> None:
            oracle(torch.ones(3)).sum()
            oracle(torch.ones(3)).sum()

        found = find_divergence(program, program)
    assert (found.kind, found.op, found.index) == ("value", "repro_tests.oracle.default", 1)
    assert found.random is False
