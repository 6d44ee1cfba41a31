"""Where collective ops have their tensors, their group and the rank that sends or receives."""

from __future__ import annotations

from typing import NamedTuple


class CollectiveOp(NamedTuple):
    """Where the arguments of a collective op are.

    Attributes:
        name: Function of ``torch.distributed``.
        inputs, outputs: Positions of tensors or lists of them; without *outputs* those that it returns.
        group: Position of the process group, or of its name.
        source, target: Positions of the one rank that sends, or receives.
        tag: Position of the tag of send and receive.
    """

    name: str
    inputs: int | None = None
    outputs: int | None = None
    group: int = 1
    source: int | None = None
    target: int | None = None
    tag: int | None = None


WAIT = "_c10d_functional::wait_tensor"

RECEIVE = "recv"
COLLECTIVE_OPS = {
    "c10d::allreduce_": CollectiveOp("all_reduce", 0, 0),
    "c10d::allreduce_coalesced_": CollectiveOp("all_reduce_coalesced", 0, 0),
    "c10d::allgather_": CollectiveOp("all_gather", 1, 0, 2),
    "c10d::allgather_coalesced_": CollectiveOp("all_gather_coalesced", 1, 0, 2),
    "c10d::allgather_into_tensor_coalesced_": CollectiveOp("all_gather_into_tensor", 1, 0, 2),
    "c10d::_allgather_base_": CollectiveOp("all_gather_into_tensor", 1, 0, 2),
    "c10d::reduce_scatter_": CollectiveOp("reduce_scatter", 1, 0, 2),
    "c10d::reduce_scatter_tensor_coalesced_": CollectiveOp("reduce_scatter_tensor", 1, 0, 2),
    "c10d::_reduce_scatter_base_": CollectiveOp("reduce_scatter_tensor", 1, 0, 2),
    "c10d::alltoall_": CollectiveOp("all_to_all", 1, 0, 2),
    "c10d::alltoall_base_": CollectiveOp("all_to_all_single", 1, 0, 2),
    "c10d::broadcast_": CollectiveOp("broadcast", 0, 0, source=2),
    "c10d::scatter_": CollectiveOp("scatter", 1, 0, 2, source=3),
    "c10d::reduce_": CollectiveOp("reduce", 0, 0, target=3),
    "c10d::gather_": CollectiveOp("gather", 1, 0, 2, target=3),
    "c10d::barrier": CollectiveOp("barrier"),
    "c10d::monitored_barrier_": CollectiveOp("monitored_barrier"),
    "c10d::send": CollectiveOp("send", 0, target=2, tag=3),
    "c10d::recv_": CollectiveOp(RECEIVE, None, 0, source=2, tag=3),
    "c10d::recv_any_source_": CollectiveOp(RECEIVE, None, 0, tag=2),
    "_c10d_functional::all_reduce": CollectiveOp("all_reduce", 0, group=2),
    "_c10d_functional::all_reduce_": CollectiveOp("all_reduce", 0, group=2),
    "_c10d_functional::all_reduce_coalesced": CollectiveOp("all_reduce", 0, group=2),
    "_c10d_functional::all_reduce_coalesced_": CollectiveOp("all_reduce", 0, group=2),
    "_c10d_functional::all_gather_into_tensor": CollectiveOp("all_gather_into_tensor", 0, group=2),
    "_c10d_functional::all_gather_into_tensor_coalesced": CollectiveOp("all_gather_into_tensor", 0, group=2),
    "_c10d_functional::all_gather_into_tensor_out": CollectiveOp("all_gather_into_tensor", 0, group=2),
    "_c10d_functional::reduce_scatter_tensor": CollectiveOp("reduce_scatter_tensor", 0, group=3),
    "_c10d_functional::reduce_scatter_tensor_coalesced": CollectiveOp("reduce_scatter_tensor", 0, group=3),
    "_c10d_functional::reduce_scatter_tensor_out": CollectiveOp("reduce_scatter_tensor", 0, group=3),
    "_c10d_functional::all_to_all_single": CollectiveOp("all_to_all_single", 0, group=3),
    "_c10d_functional::broadcast": CollectiveOp("broadcast", 0, group=2, source=1),
    "_c10d_functional::broadcast_": CollectiveOp("broadcast", 0, group=2, source=1),
}
