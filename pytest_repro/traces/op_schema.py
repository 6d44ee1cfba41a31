"""What an op's declaration says of it, read once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch

_SEEDED_TAG = getattr(torch.Tag, "nondeterministic_seeded", None)

_UNDECLARED_VIEWS = {"aten::_unsafe_view"}
# Not declared as a view, since autograd does not take it for one.

_SKIPPED_NAMESPACES = ("profiler::", "prim::", "inductor::")
# Brackets of the profiler, questions about devices: nothing of the program's is computed.

_WRITE_ONLY_OPS = {
    "copy_", "fill_", "zero_", "normal_", "uniform_", "random_", "bernoulli_", "exponential_",
    "geometric_", "log_normal_", "cauchy_", "resize_", "resize_as_", "set_", "_foreach_copy_",
    "_foreach_zero_",
}  # fmt: skip
_PARTIAL_WRITE_OPS = {
    "index_put_", "_index_put_impl_", "masked_fill_", "masked_scatter_", "scatter_", "scatter_add_",
    "scatter_reduce_", "index_copy_", "index_fill_", "index_add_", "index_reduce_", "put_",
}  # fmt: skip
_SCRATCH_RESULTS = {
    "aten::mkldnn_rnn_layer": {3}, "aten::_cudnn_rnn": {3}, "aten::miopen_rnn": {3},
    "aten::cudnn_batch_norm": {3}, "aten::_batch_norm_with_update": {3},
}  # fmt: skip
_SCRATCH_NAMES = {"philox_seed", "philox_offset", "rng_state", "unused", "debug_attn_mask"}
_SCRATCH_ARGUMENTS = {"aten::rrelu_with_noise": {1}, "aten::rrelu_with_noise_": {1}}
# What the forward pass keeps for the backward pass, of which it writes what that will read. The
# workspace of an LSTM has gaps that hold what happened to be there.

_BATCH_NORM_OPS = {"aten::native_batch_norm", "aten::cudnn_batch_norm", "aten::miopen_batch_norm"}
# They write the running mean and variance, arguments 3 and 4, without declaring it.


@dataclass(frozen=True, slots=True)
class OpSchema:
    """What is known of an op before it runs.

    Attributes:
        op: The op itself, kept so that no other takes its id.
        name: ``"aten.add.Tensor"``.
        untraced: Whether it has no entry: a view, an alias, or nothing that computes.
        reads_external_data: Whether it takes in data that was not torch's before.
        returns_raw: Whether it gives memory as it happens to be.
        draws: Whether it may draw random numbers; *may_draw*: it may do so or not.
        write_only_arguments: Places of arguments that are written without being read.
        writes_partially: Whether it may leave part of what it writes to as it was.
        writes: Whether it writes to arguments.
        unreturned_arguments: Places of written arguments, by number or keyword, that are not given back.
        scratch_results: Numbers of results, *scratch_arguments*: places of arguments, that it leaves partly unwritten
            though all is well: what they hold says nothing.
        simple: Whether it reads all its arguments, and computes all that it gives.
    """

    op: Any
    name: str
    untraced: bool = False
    reads_external_data: bool = False
    returns_raw: bool = False
    draws: bool = False
    may_draw: bool = False
    write_only_arguments: frozenset[int | str] = frozenset()
    writes_partially: bool = False
    writes: bool = False
    unreturned_arguments: tuple[int | str, ...] = ()
    scratch_results: frozenset[int] = frozenset()
    scratch_arguments: frozenset[int] = frozenset()
    simple: bool = False


@cache
def read_schema(op: Any) -> OpSchema:
    """What the declaration of *op*, an overload or a higher-order op, says of it; read in 0.1 ms."""
    schema = getattr(op, "_schema", None)
    if schema is None:
        return OpSchema(op, str(op))
    bare = schema.name.rpartition("::")[2]
    written = [a for a in schema.arguments if a.alias_info is not None and a.alias_info.is_write]
    returned = [r.alias_info for r in schema.returns]
    given_back = {name for each in returned if each is not None for name in each.before_set}
    noise = frozenset(_SCRATCH_ARGUMENTS.get(schema.name, ()))
    mutated = [_find_position(schema, a) for a in written if given_back.isdisjoint(a.alias_info.before_set)]
    mutated += [3, 4] if schema.name in _BATCH_NORM_OPS else []
    found = OpSchema(
        op,
        str(op),
        untraced=_is_untraced(schema, returned) or (not schema.returns and not written),
        reads_external_data=bare == "lift_fresh",
        returns_raw=bare.startswith(("empty", "new_empty", "_empty", "resize_")),
        draws=_SEEDED_TAG in op.tags,
        may_draw="attention" in bare or "dropout" in bare,
        write_only_arguments=noise | _find_write_only(schema, bare, written),
        writes_partially=bare in _PARTIAL_WRITE_OPS,
        writes=bool(written) or schema.name in _BATCH_NORM_OPS,
        unreturned_arguments=tuple(place for place in mutated if place not in noise),
        scratch_results=_find_scratch_results(schema),
        scratch_arguments=noise,
    )
    special = (
        found.draws
        or found.returns_raw
        or found.write_only_arguments
        or found.writes_partially
        or found.unreturned_arguments
    )
    return replace(found, simple=not special)


def _find_write_only(schema: Any, bare: str, written: list[Any]) -> frozenset[int | str]:
    """Places of arguments of which an op does not read the values."""
    found = {_find_position(schema, a) for a in written if bare in _WRITE_ONLY_OPS or a.is_out}
    if bare.endswith("_like") or bare.startswith("new_"):
        found.add(0)  # it makes another tensor of that kind
    return frozenset(found)


def _find_scratch_results(schema: Any) -> frozenset[int]:
    named = {place for place, each in enumerate(schema.returns) if each.name in _SCRATCH_NAMES}
    return frozenset(_SCRATCH_RESULTS.get(schema.name, set()) | named)


def _is_untraced(schema: Any, return_aliases: list[Any]) -> bool:
    aliases = any(each is not None and not each.is_write for each in return_aliases)
    return aliases or schema.name in _UNDECLARED_VIEWS or schema.name.startswith(_SKIPPED_NAMESPACES)


def _find_position(schema: Any, argument: Any) -> int | str:
    if argument.kwarg_only:
        return str(argument.name)
    return int(next(i for i, each in enumerate(schema.arguments) if each.name == argument.name))
