"""What an op's declaration says of it, read once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch

_SEEDED = getattr(torch.Tag, "nondeterministic_seeded", None)

_VIEWS = {"aten::_unsafe_view"}
# Not declared as a view, since autograd does not take it for one.

_STAGING = ("profiler::", "prim::", "inductor::")
# Brackets of the profiler, questions about devices: nothing of the program's is computed.

_WRITE_ONLY = {
    "copy_", "fill_", "zero_", "normal_", "uniform_", "random_", "bernoulli_", "exponential_",
    "geometric_", "log_normal_", "cauchy_", "resize_", "resize_as_", "set_", "_foreach_copy_",
    "_foreach_zero_",
}  # fmt: skip
_IN_PART = {
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

_STATISTICS = {"aten::native_batch_norm", "aten::cudnn_batch_norm", "aten::miopen_batch_norm"}
# They write the running mean and variance, arguments 3 and 4, without declaring it.


@dataclass(frozen=True, slots=True)
class Declared:
    """What is known of an op before it runs.

    Attributes:
        op: The op itself, kept so that no other takes its id.
        name: ``"aten.add.Tensor"``.
        passed: Whether it has no entry: a view, an alias, or nothing that computes.
        entering: Whether it takes in data that was not torch's before.
        empty: Whether it gives memory as it happens to be.
        draws: Whether it may draw random numbers; *unsure*: it may do so or not.
        ignored: Places of arguments that are written without being read.
        in_part: Whether it may leave part of what it writes to as it was.
        writes: Whether it writes to arguments.
        mutated: Places of written arguments, by number or keyword, that are not given back.
        scratch: Numbers of results, *noise*: places of arguments, that it leaves partly unwritten
            though all is well: what they hold says nothing.
        simple: Whether it reads all its arguments, and computes all that it gives.
    """

    op: Any
    name: str
    passed: bool = False
    entering: bool = False
    empty: bool = False
    draws: bool = False
    unsure: bool = False
    ignored: frozenset[int | str] = frozenset()
    in_part: bool = False
    writes: bool = False
    mutated: tuple[int | str, ...] = ()
    scratch: frozenset[int] = frozenset()
    noise: frozenset[int] = frozenset()
    simple: bool = False


@cache
def declared(op: Any) -> Declared:
    """What the declaration of *op*, an overload or a higher-order op, says of it; read in 0.1 ms."""
    schema = getattr(op, "_schema", None)
    if schema is None:
        return Declared(op, str(op))
    bare = schema.name.rpartition("::")[2]
    written = [a for a in schema.arguments if a.alias_info is not None and a.alias_info.is_write]
    returned = [r.alias_info for r in schema.returns]
    given_back = {name for each in returned if each is not None for name in each.before_set}
    noise = frozenset(_SCRATCH_ARGUMENTS.get(schema.name, ()))
    mutated = [_place(schema, a) for a in written if given_back.isdisjoint(a.alias_info.before_set)]
    mutated += [3, 4] if schema.name in _STATISTICS else []
    found = Declared(
        op,
        str(op),
        passed=_passes(schema, returned) or (not schema.returns and not written),
        entering=bare == "lift_fresh",
        empty=bare.startswith(("empty", "new_empty", "_empty", "resize_")),
        draws=_SEEDED in op.tags,
        unsure="attention" in bare or "dropout" in bare,
        ignored=noise | _unread(schema, bare, written),
        in_part=bare in _IN_PART,
        writes=bool(written) or schema.name in _STATISTICS,
        mutated=tuple(place for place in mutated if place not in noise),
        scratch=_scratch(schema),
        noise=noise,
    )
    special = found.draws or found.empty or found.ignored or found.in_part or found.mutated
    return replace(found, simple=not special)


def _unread(schema: Any, bare: str, written: list[Any]) -> frozenset[int | str]:
    """Places of arguments of which an op does not read the values."""
    found = {_place(schema, a) for a in written if bare in _WRITE_ONLY or a.is_out}
    if bare.endswith("_like") or bare.startswith("new_"):
        found.add(0)  # it makes another tensor of that kind
    return frozenset(found)


def _scratch(schema: Any) -> frozenset[int]:
    named = {place for place, each in enumerate(schema.returns) if each.name in _SCRATCH_NAMES}
    return frozenset(_SCRATCH_RESULTS.get(schema.name, set()) | named)


def _passes(schema: Any, returned: list[Any]) -> bool:
    aliases = any(each is not None and not each.is_write for each in returned)
    return aliases or schema.name in _VIEWS or schema.name.startswith(_STAGING)


def _place(schema: Any, argument: Any) -> int | str:
    if argument.kwarg_only:
        return str(argument.name)
    return int(next(i for i, each in enumerate(schema.arguments) if each.name == argument.name))
