"""What a traced op made is no input from outside, and whatever else it reads is."""

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
from tests.traces.tracing import agree, kernel, names, only, outside, parted, traced


def tensors_in(op: Op) -> int:
    """How many tensors were digested as inputs of ``clone``, which has no other arguments."""
    assert op.name == "aten.clone.default"
    return len(op.inputs)


def read(found: Trace) -> list[int]:
    return [tensors_in(op) for op in found if op.name == "aten.clone.default"]


def test_an_input_is_digested_once() -> None:
    x = outside(lambda: torch.rand(4))
    found = traced(lambda: (x.clone(), x.clone(), x.add(1).clone()))
    assert read(found) == [1, 0, 0]
    assert found[0].inputs == found[0].outputs == found[1].outputs


def test_views_are_known_with_what_they_view() -> None:
    x = outside(lambda: torch.rand(4, 4))
    found = traced(lambda: (x.clone(), x[1:].clone(), x.t().clone(), x.detach().view(2, 8)[:, 1].clone()))
    assert names(found) == ["clone.default"] * 4
    assert read(found) == [1, 0, 0, 0]
    assert [bool(op.view) for op in found] == [False, True, False, True]


def test_of_what_was_read_in_part_the_part_is_known() -> None:
    x = outside(lambda: torch.rand(4))
    found = traced(lambda: (x[1:].clone(), x[1:].clone(), x[:1].clone(), x.clone(), x[:2].clone()))
    assert read(found) == [1, 0, 1, 1, 0]


def test_another_part_of_the_same_values_is_told_from_another_kernel() -> None:
    x = outside(lambda: torch.tensor([1.0, 2.0]))
    places = iter([0, 1])

    def program() -> None:
        x.clone()
        x[next(places)].clone()

    found = parted(program, program)
    assert (found.kind, found.op, found.index) == ("input", "aten.clone.default", 1)


def test_what_is_written_in_place_is_known() -> None:
    x, y = outside(lambda: (torch.rand(4), torch.rand(4)))

    def program() -> None:
        x.mul_(2)
        x.clone()
        y[:2].zero_()
        y[:2].clone()
        y[1:].clone()

    found = traced(program)
    assert names(found) == ["mul_.Tensor", "clone.default", "zero_.default", "clone.default", "clone.default"]
    assert read(found) == [0, 0, 1]
    assert found[0].outputs == found[1].outputs
    assert len(found[0].inputs) == 2  # x as it was, and 2
    assert found[2].inputs == ()


def test_out_is_written_and_not_read() -> None:
    x, y = outside(lambda: (torch.ones(4), torch.rand(4)))
    found = traced(lambda: (torch.add(x, x, out=y), y.clone(), torch.add(x, x, out=torch.empty(0)).clone()))
    assert names(found) == ["add.out", "clone.default", "empty.memory_format", "add.out", "clone.default"]
    assert len(found[0].inputs) == 1
    assert found[0].outputs == found[1].outputs == found[3].outputs == found[4].outputs
    assert read(found) == [0, 0]


def test_several_results_and_lists_of_tensors() -> None:
    x, rows = outside(lambda: (torch.rand(4), [torch.rand(2), torch.rand(3)]))
    found = traced(lambda: (x.sort(), torch.cat(rows), torch._foreach_add_(rows, 1.0), torch.cat(rows)))
    assert names(found) == ["sort.default", "cat.default", "_foreach_add_.Scalar", "cat.default"]
    assert [len(op.outputs) for op in found] == [2, 1, 2, 1]
    assert found[0].kinds == ("float32[4]", "int64[4]")
    assert [len(op.inputs) for op in found] == [1, 3, 1, 1]


def test_the_other_order_of_a_list_is_another_input() -> None:
    rows = outside(lambda: [torch.zeros(2), torch.ones(2)])
    found = parted(lambda: torch.stack(rows), lambda: torch.stack(rows[::-1]))
    assert (found.kind, found.op) == ("input", "aten.stack.default")


def test_arguments_that_are_no_tensors_are_inputs() -> None:
    x = outside(lambda: torch.rand(4))
    x.clone()
    assert agree(lambda: x.add(2.0), lambda: x.add(2.0))
    for other in (lambda: x.add(3.0), lambda: x.add(2), lambda: x.add(2.0, alpha=2)):
        assert parted(lambda: x.add(2.0), other).kind == "input"
    assert parted(lambda: x.sum([0]), lambda: x.sum([0], keepdim=True)).kind == "input"


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

    assert read(traced(program(1)))[-3:] == [1, 1, 1]
    found = parted(program(1), program(2))
    assert (found.kind, found.op) == ("input", "aten.clone.default")
    assert found.index == len(traced(program(1))) - 2


def test_memory_given_away_to_numpy_is_digested_each_time() -> None:
    def program(value: float) -> Callable[[], object]:
        def run() -> None:
            t = torch.zeros(3)
            t.clone()
            t.numpy()[1] = value
            t.clone()

        return run

    assert read(traced(program(1))) == [0, 1]
    found = parted(program(1), program(2))
    assert (found.kind, found.index) == ("input", 2)


def test_a_new_tensor_is_not_taken_for_a_dead_one() -> None:
    """The same address, and the same Python object for the storage, come back again and again."""
    addresses, objects, many = set(), set(), 300
    with trace() as found:
        for number in range(many):
            torch.full((8,), number).clone()
            t = outside(partial(torch.full, (8,), -number))
            addresses.add(t.data_ptr())
            objects.add(id(t.untyped_storage()))
            t.clone()
            del t
    assert len(addresses) < many / 2
    assert len(objects) < many / 2
    assert read(found) == [0, 1] * many


def test_what_swaps_its_storage_is_no_longer_known() -> None:
    x, other = outside(lambda: (torch.zeros(4), torch.ones(4)))

    def program() -> None:
        x.clone()
        x.data = other
        x.clone()

    assert read(traced(program)) == [1, 1]


def test_what_was_written_while_a_trace_paused_or_by_a_thread_is_told_by_a_thorough_one() -> None:
    """The memory is known, so nobody looks; all inputs are digested where the trace is thorough."""
    values = iter([1.0, 2.0] * 2)

    def program() -> None:
        t = torch.zeros(4)
        outside(lambda: t.fill_(next(values)))
        t.clone()

    assert parted(program, program).kind == "value"
    assert parted(program, program, thorough=True).kind == "input"


def test_a_thorough_trace_digests_all_inputs() -> None:
    def program() -> None:
        x = torch.ones(4)
        x.clone()
        x.mul(x)
        x.add_(1)

    found = traced(program, thorough=True)
    ones = found[0].outputs
    assert [op.inputs[:2] for op in found][1:3] == [ones, ones * 2]
    assert found[3].inputs[0] == ones[0]
    assert [op.inputs for op in traced(program)][1:3] == [(), ()]


@pytest.fixture
def filled() -> Callable[[], Any]:
    """Gives memory that holds something else each time, as the allocator's does."""
    values = iter(range(1, 1000))

    def fill(t: Any) -> Any:
        outside(lambda: t.fill_(next(values)))
        return t

    return lambda: fill(torch.empty(4))


def test_memory_that_nobody_wrote_to_differs_where_it_is_read(filled: Callable[[], Any]) -> None:
    def program() -> None:
        filled()
        x = filled()
        x[:2].zero_()
        x[:2].clone()
        x.index_fill_(0, torch.tensor([2]), 7.0)
        x.clone()

    found = parted(program, program)
    assert (found.kind, found.op, found.index) == ("input", "aten.clone.default", 6)
    assert only(traced(program), "index_fill_.int_Scalar").outputs == ("",)
    assert [op.outputs for op in traced(program)][:2] == [("",), ("",)]


def test_memory_that_was_written_whole_is_the_program_s(filled: Callable[[], Any]) -> None:
    def program() -> None:
        filled().zero_().clone()
        x = filled()
        x.copy_(torch.ones(4))
        x.index_fill_(0, torch.tensor([2]), 7.0)
        torch.ones(4, out=filled()).clone()

    assert agree(program, program)
    assert only(traced(program), "index_fill_.int_Scalar").outputs != ("",)


def test_memory_that_a_resize_added_differs_where_it_is_read() -> None:
    values = iter([1.0, 2.0])

    def program() -> None:
        t = torch.ones(2)
        t.resize_(4)
        outside(lambda: t[2:].fill_(next(values)))
        t.clone()

    found = parted(program, program)
    assert (found.kind, found.op, found.index) == ("input", "aten.clone.default", 2)


def test_dead_tensors_are_forgotten() -> None:
    known, others, ids, many = KnownMemory(), [], set(), 4000
    for _ in range(many):
        t = torch.empty(1)
        known.add_result(t)
        ids.add(id(t.untyped_storage()))
        del t
        others.append(torch.empty(1).untyped_storage())  # takes the place of the dead one
    assert len(ids) > many / 2
    assert len(known._storages) < many / 2


def test_a_trace_of_small_ops_takes_little_memory() -> None:
    t: Any = torch.ones(4, requires_grad=True)

    def loop() -> None:
        for _ in range(1_000):
            t.mul(2).sum().backward()

    traced(loop)
    tracemalloc.start()
    try:
        with trace() as found:
            loop()
            used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found) >= 4_000
    assert used / len(found) <= 140


def test_a_kernel_that_computes_something_else_is_told_from_its_inputs() -> None:
    hidden = iter([0.0, 0.0, 2**-20, 0.0])
    with kernel("oracle(Tensor x) -> Tensor", lambda x: x + next(hidden)) as oracle:

        def program() -> None:
            oracle(torch.ones(3)).sum()
            oracle(torch.ones(3)).sum()

        found = parted(program, program)
    assert (found.kind, found.op, found.index) == ("value", "repro_tests.oracle.default", 1)
    assert found.random is False
