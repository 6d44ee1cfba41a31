"""Properties of ops, read once from their schemas."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import torch


class CollectiveOp(NamedTuple):
    """Where the arguments of a collective op are.

    Attributes:
        inputs, outputs: Positions of tensors or lists of them; without *outputs* those that it returns.
        source, target: Positions of the one rank that sends, or receives.
    """

    name: str  # function of ``torch.distributed``
    inputs: int | None = None
    outputs: int | None = None
    group: int = 1  # position of the process group, or of its name
    source: int | None = None
    target: int | None = None
    tag: int | None = None  # position of the tag of send and receive


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


_SEEDED_TAG = getattr(torch.Tag, "nondeterministic_seeded", None)

_UNDECLARED_VIEWS = {"aten::_unsafe_view", "_c10d_functional::_wrap_tensor_autograd"}
# Returns a view but does not declare it, since autograd does not treat it as one.

_SKIPPED_NAMESPACES = ("profiler::", "prim::", "inductor::")
# Profiler ranges and device queries, which compute no values.

_WRITE_ONLY_OPS = {
    "copy_", "fill_", "zero_", "normal_", "uniform_", "random_", "bernoulli_", "exponential_",
    "geometric_", "log_normal_", "cauchy_", "resize_", "resize_as_", "set_", "_foreach_copy_",
    "_foreach_zero_",
}  # fmt: skip
_PARTIAL_WRITE_OPS = {
    "index_put_", "_index_put_impl_", "masked_fill_", "masked_scatter_", "scatter_", "scatter_add_",
    "scatter_reduce_", "index_copy_", "index_fill_", "index_add_", "index_reduce_", "put_",
}  # fmt: skip
_RNN_OPS = {"aten::mkldnn_rnn_layer", "aten::_cudnn_rnn", "aten::miopen_rnn"}
_WORKSPACE_OPS = {*_RNN_OPS, "aten::cudnn_batch_norm", "aten::_batch_norm_with_update"}  # their result 3
_SCRATCH_NAMES = {"philox_seed", "philox_offset", "rng_state", "unused", "debug_attn_mask"}
_SCRATCH_ARGUMENTS = {"aten::rrelu_with_noise": {1}, "aten::rrelu_with_noise_": {1}}
# Saved for the backward pass, which reads only the parts that the forward pass writes: the workspace of
# an LSTM has uninitialized gaps.

_BATCH_NORM_OPS = {"aten::native_batch_norm", "aten::cudnn_batch_norm", "aten::miopen_batch_norm"}
# They write to arguments 3 and 4, running mean and variance, without declaring it.


@dataclass(frozen=True, slots=True)
class OpSchema:
    """What is known of an op before it runs. Arguments are given by position or keyword."""

    op: Any  # the op itself, kept so that its id is not reused
    name: str  # ``"aten.add.Tensor"``
    untraced: bool = False  # whether it has no entry: a view, an alias, or an op that computes nothing
    reads_external_data: bool = False  # whether it makes a tensor from data of numpy or Python
    returns_raw: bool = False  # whether its result is uninitialized memory
    draws: bool = False  # whether its schema says that it draws random numbers
    may_draw: bool = False  # whether, nevertheless, some arguments make it draw none (dropout with ``p=0``)
    write_only_arguments: frozenset[int | str] = frozenset()  # arguments that it writes without reading them
    writes_partially: bool = False  # whether it may leave parts of a written argument unchanged
    writes: bool = False  # whether it writes to arguments
    unreturned_arguments: tuple[int | str, ...] = ()  # arguments that it writes but does not return
    scratch_results: frozenset[int] = frozenset()  # results, by position, of which parts may be uninitialized
    scratch_arguments: frozenset[int] = frozenset()  # the same for arguments
    simple: bool = False  # whether it reads all its arguments and computes all its results
    qualified_name: str = ""  # ``"c10d::allreduce_"``
    is_collective: bool = False  # whether it sends or receives tensors, or waits for them


@cache
def read_schema(op: Any) -> OpSchema:
    """Properties of *op*, an overload or a higher-order op; takes 0.1 ms."""
    schema = getattr(op, "_schema", None)
    if schema is None:
        return OpSchema(op, str(op))
    bare = schema.name.rpartition("::")[2]
    written = {
        argument.name if argument.kwarg_only else i: argument
        for i, argument in enumerate(schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    }
    return_aliases = [r.alias_info for r in schema.returns if r.alias_info is not None]
    returned = {name for alias in return_aliases for name in alias.before_set}
    scratch = frozenset(_SCRATCH_ARGUMENTS.get(schema.name, ()))
    write_only = {at for at, argument in written.items() if bare in _WRITE_ONLY_OPS or argument.is_out}
    if bare.endswith("_like") or bare.startswith("new_"):
        write_only.add(0)  # only its shape, dtype and device are read
    unreturned = [
        at for at, argument in written.items() if returned.isdisjoint(argument.alias_info.before_set)
    ]
    unreturned += [3, 4] if schema.name in _BATCH_NORM_OPS else []
    scratch_results = {i for i, result in enumerate(schema.returns) if result.name in _SCRATCH_NAMES}
    is_view = any(not alias.is_write for alias in return_aliases) or schema.name in _UNDECLARED_VIEWS
    is_collective = schema.name in COLLECTIVE_OPS or schema.name == WAIT
    is_idle = schema.name.startswith(_SKIPPED_NAMESPACES) or not (schema.returns or written)
    result = OpSchema(
        op,
        str(op),
        untraced=is_view or is_idle or is_collective,
        reads_external_data=bare == "lift_fresh",
        returns_raw=bare.startswith(("empty", "new_empty", "_empty", "resize_")),
        draws=_SEEDED_TAG in op.tags,
        may_draw="attention" in bare or "dropout" in bare,
        write_only_arguments=scratch | write_only,
        writes_partially=bare in _PARTIAL_WRITE_OPS,
        writes=bool(written) or schema.name in _BATCH_NORM_OPS,
        unreturned_arguments=tuple(at for at in unreturned if at not in scratch),
        scratch_results=frozenset(scratch_results | ({3} if schema.name in _WORKSPACE_OPS else set())),
        scratch_arguments=scratch,
        qualified_name=schema.name,
        is_collective=is_collective,
    )
    special = result.draws, result.returns_raw, result.write_only_arguments, result.writes_partially
    return replace(result, simple=not (any(special) or result.unreturned_arguments))
