"""Collectives of a group of one rank: what of them is in a trace, and when their outputs are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("torch.distributed")

import torch
from torch.distributed import _functional_collectives as functional

from pytest_repro import Trace, first_divergence, trace
from tests.traces.tracing import find_op, op_names, trace_call

dist: Any = torch.distributed


@pytest.fixture(autouse=True, scope="module")
def _group() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def names(found: Trace) -> list[str]:
    return [each.name for _, each in sorted(found.collectives.items())]


def test_collectives_are_numbered_by_group() -> None:
    other = dist.new_group([0])

    def run() -> None:
        x, parts = torch.ones(2), [torch.empty(2)]
        dist.all_reduce(x)
        dist.broadcast(x, 0, group=other)
        dist.all_gather(parts, x)
        dist.reduce(x, 0)
        dist.scatter(x, parts, src=0)
        dist.gather(x, parts, dst=0)
        dist.barrier()

    found = trace_call(run)
    assert names(found) == ["all_reduce", "broadcast", "all_gather", "reduce", "scatter", "gather", "barrier"]
    keys = [each.key for _, each in sorted(found.collectives.items())]
    group = keys[0][0]
    assert [number for name, number in keys if name == group] == list(range(6))
    assert keys[1] == (other.group_name, 0)
    assert found.group_ranks == {group: (0,), other.group_name: (0,)}
    assert Trace.from_bytes(found.to_bytes()).collectives == found.collectives
    assert names(found.head(min(found.collectives) + 1)) == ["all_reduce"]
    assert first_divergence(found, trace_call(run)) is None


def test_outputs_are_read_once_they_have_arrived() -> None:
    with trace() as found:
        x = torch.ones(1000)
        work = dist.all_reduce(x, async_op=True)
        noise = torch.zeros(1000)
        work.wait()
        x.add_(noise + 1)
    reduced, added = find_op(found, "c10d.allreduce_.default"), find_op(found, "add_.Tensor")
    assert reduced.outputs == found[0].outputs  # of one rank: the sum is its own input
    assert added.outputs != reduced.outputs
    assert added.inputs == ()  # it reads what the collective returned


def test_an_input_that_differs_is_no_output_that_differs() -> None:
    values = [torch.ones(3), torch.zeros(3)]
    a, b = (trace_call(lambda value=value: dist.all_reduce(value.clone())) for value in values)  # type: ignore[misc]
    found = first_divergence(a, b)
    assert found is not None
    assert found.op == "aten.clone.default"
    a, b = (trace_call(lambda value=value: dist.all_reduce(value)) for value in values)  # type: ignore[misc]
    found = first_divergence(a, b)
    assert found is not None
    assert (found.op, found.kind) == ("c10d.allreduce_.default", "input")


def test_functional_collectives_end_when_they_are_waited_for() -> None:
    def run() -> None:
        x = functional.all_reduce(torch.ones(3), "sum", dist.group.WORLD)
        (x + 1).sum()

    found = trace_call(run)
    assert names(found) == ["all_reduce"]
    reduced = find_op(found, "_c10d_functional.all_reduce.default")
    assert reduced.outputs == found[0].outputs
    assert (
        find_op(found, "add.Tensor").inputs
        == find_op(trace_call(lambda: torch.ones(3) + 1), "add.Tensor").inputs
    )
    assert first_divergence(found, trace_call(run)) is None


def test_the_hooks_of_ddp_are_traced_with_the_line_of_the_backward_pass() -> None:
    def run() -> None:
        torch.manual_seed(0)
        model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(3, 2))
        model(torch.ones(4, 3)).sum().backward()  # this line

    found = trace_call(run)
    index, last = max(found.collectives.items())
    assert last.name == "all_reduce"
    assert found[index].location.endswith(
        f"{__name__.rpartition('.')[2]}.py:{run.__code__.co_firstlineno + 3}"
    )
    assert op_names(found)[index + 1] == "copy_.default"
    for _ in range(5):
        assert first_divergence(found, trace_call(run)) is None
