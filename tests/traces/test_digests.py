"""Values of tensors count in every dtype and layout."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from pytest_repro import trace
from tests.traces.tracing import (
    custom_op,
    find_divergence,
    have_equal_traces,
    op_names,
    run_untraced,
    trace_call,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:ComplexHalf support is experimental",
    "ignore:.*beta state",
    "ignore:.*prototype stage",
    "ignore:Sparse invariant checks",
    "ignore:.*is deprecated:DeprecationWarning",
    "ignore:.*deprecated.*:UserWarning",
)

MakeTensor = Callable[[float], Any]


def quantised(number: float = 1, scale: float = 0.5, zero: int = 3) -> Any:
    """A quantised tensor, whose values depend on scale and zero point."""
    integers = torch.tensor([[1, 2], [3, number]]).to(torch.uint8)
    return torch._make_per_tensor_quantized_tensor(integers, scale, zero)


def by_channel(scale: float) -> Any:
    scales, zeros = torch.tensor([0.5, scale], dtype=torch.float64), torch.tensor([0, 1])
    return torch._make_per_channel_quantized_tensor(torch.ones(2, 3, dtype=torch.int8), scales, zeros, 0)


def two(value: float) -> Any:
    return torch.tensor([[1.0, value], [0.0, 4.0]])


LAYOUTS: dict[str, MakeTensor] = {
    "transposed": lambda value: two(value).t(),
    "channels last": lambda value: (
        two(value).expand(1, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    ),
    "slice": lambda value: two(value)[:, 1],
    "every second": lambda value: torch.tensor([1.0, 7.0, value])[::2],
    "expanded": lambda value: torch.tensor([value]).expand(3),
    "parameter": lambda value: torch.nn.Parameter(two(value)),
    "conjugated": lambda value: torch.complex(two(1), two(value)).conj(),
    "complex": lambda value: torch.complex(two(1), two(value)),
    "coo": lambda value: two(value).to_sparse(),
    "uncoalesced": lambda value: torch.sparse_coo_tensor(torch.tensor([[1, 1]]), [1.0, value], (3,)),
    "csr": lambda value: two(value).to_sparse_csr(),
    "csc": lambda value: two(value).to_sparse_csc(),
    "bsr": lambda value: two(value).to_sparse_bsr((1, 1)),
    "bsc": lambda value: two(value).to_sparse_bsc((1, 1)),
    "sparse indices": lambda value: torch.sparse_coo_tensor(torch.tensor([[int(value) - 2]]), [1.0], (9,)),
    "nested": lambda value: torch.nested.nested_tensor([torch.ones(2), torch.tensor([value])]),
    "jagged": lambda value: torch.nested.nested_tensor(
        [torch.ones(2), torch.tensor([value])], layout=torch.jagged
    ),
    "quantised": lambda value: quantised(value),
    "scale": lambda value: quantised(scale=1 / value),
    "zero point": lambda value: quantised(zero=int(value)),
    "scales": by_channel,
}


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("make", LAYOUTS.values(), ids=LAYOUTS)
def test_inputs_count_in_every_layout(make: MakeTensor, thorough: bool) -> None:
    a, same, other = run_untraced(lambda: (make(2.0), make(2.0), make(5.0)))
    assert have_equal_traces(a.clone, same.clone)
    found = find_divergence(a.clone, other.clone, thorough)
    assert (found.kind, found.index) == ("input", 0)


@pytest.mark.parametrize("layout", sorted({*LAYOUTS} - {"jagged", "parameter"}))
def test_results_count_in_every_layout(layout: str) -> None:
    """Of a kernel without inputs, where only the output can differ."""
    values = iter([2.0, 2.0, 2.0, 5.0])
    with custom_op("made() -> Tensor", lambda: LAYOUTS[layout](next(values))) as op:
        assert have_equal_traces(op, op)
        found = find_divergence(op, op)
    assert (found.kind, found.op) == ("value", "repro_tests.made.default")


DTYPES = [
    "float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz",
    "complex32", "complex64", "complex128", "bool", "uint8", "int8", "int16", "int32", "int64", "uint16",
    "uint32", "uint64",
]  # fmt: skip


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype(name: str) -> None:
    dtype = getattr(torch, name)
    zero, again, one, empty = run_untraced(
        lambda: (*(torch.tensor(v).to(dtype) for v in ([0, 0], [0, 0], [0, 1])), torch.ones(0, 3).to(dtype))
    )
    assert have_equal_traces(zero.clone, again.clone)
    assert find_divergence(zero.clone, one.clone).kind == "input"
    (op,) = trace_call(empty.clone)
    assert op.inputs == op.outputs != ("",)
    assert op.kinds == (f"{name}[0, 3]",)


def test_kinds_count() -> None:
    """Equal bytes of different dtypes or shapes differ."""
    makers: list[MakeTensor] = [
        lambda _: torch.zeros(4), lambda _: torch.zeros(2, 2), lambda _: torch.zeros(4, dtype=torch.int32),
        lambda _: torch.zeros(2, dtype=torch.int64), lambda _: torch.zeros(1, 4),
        lambda _: torch.zeros(0), lambda _: torch.zeros(0, 1), lambda _: torch.zeros(0, dtype=torch.int32),
    ]  # fmt: skip
    outputs = [trace_call(partial(make, 0))[0].outputs for make in makers]
    assert len(set(outputs)) == len(makers)


def test_bits_count() -> None:
    for a, b in ((0.0, -0.0), (1.0, 1.0 + 2**-23)):
        x, y = (torch.tensor([value]) for value in (a, b))
        assert find_divergence(x.clone, y.clone).kind == "input"
    x, y = run_untraced(lambda: (torch.tensor([float("nan")]), torch.tensor([float("nan")])))
    assert have_equal_traces(x.clone, y.clone)


def test_negated_views() -> None:
    t = run_untraced(lambda: torch.tensor([1.0, 2.0]))
    found = trace_call(lambda: (t.clone(), torch._neg_view(t).clone()))
    thorough = trace_call(lambda: torch._neg_view(t).clone(), thorough=True)
    assert found[0].inputs not in ((), thorough[0].inputs)
    assert found[1].inputs == ()


def test_conjugated_views() -> None:
    """A product reads the memory of such a view, without conjugating it."""
    z = run_untraced(lambda: torch.complex(two(1), two(2)))
    conjugated = run_untraced(lambda: torch.complex(two(1), two(2)).conj())
    assert conjugated.is_conj()
    found = find_divergence(lambda: z.mm(z), lambda: conjugated.mm(conjugated))
    assert (found.kind, found.op) == ("input", "aten.mm.default")


def test_scalar_results() -> None:
    x = run_untraced(lambda: torch.tensor(1.5))
    (found,) = trace_call(x.item)
    assert (found.name, found.kinds) == ("aten._local_scalar_dense.default", ("float",))
    values = iter([1, 2])
    with custom_op("sized(Tensor x) -> int", lambda _: next(values)) as op:
        assert find_divergence(lambda: op(x), lambda: op(x)).kind == "value"
    nan = run_untraced(lambda: torch.tensor(float("nan")))
    assert have_equal_traces(nan.item, nan.item)
    for a, b in ((-1, -2), (True, False)):  # Python's hash of -1 is that of -2
        x, y = (torch.tensor(value) for value in (a, b))
        left, right = trace_call(x.item), trace_call(y.item)
        assert left[0].outputs != right[0].outputs


class Doubled(torch.Tensor):
    """A subclass that changes nothing but its type."""


class Wrapped(torch.Tensor):
    """A subclass whose values are in another tensor."""

    inner: Any

    @staticmethod
    def __new__(cls, inner: Any) -> Any:
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        args = [arg.inner if isinstance(arg, Wrapped) else arg for arg in args]
        return Wrapped(func(*args, **(kwargs or {})))


@pytest.mark.parametrize("wrap", [lambda t: t.as_subclass(Doubled), Wrapped])
def test_tensor_subclasses(wrap: Callable[[Any], Any]) -> None:
    x, same, other = run_untraced(lambda: [wrap(two(v)) for v in (2, 2, 5)])

    def program(t: Any) -> Callable[[], object]:
        return lambda: (t.add(1), t.add(1).mul(2))

    assert op_names(trace_call(program(x))) == ["add.Tensor", "add.Tensor", "mul.Tensor"]
    assert have_equal_traces(program(x), program(same))
    found = find_divergence(program(x), program(other))
    assert (found.kind, found.op) == ("input", "aten.add.Tensor")
    with trace():
        assert type(x.add(1)) is type(x)


def test_unreadable_tensors_do_not_stop_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ArithmeticError("cannot be read")

    x = run_untraced(lambda: two(2).to_sparse())
    monkeypatch.setattr("pytest_repro.traces.digests._digest_part", broken)
    with trace() as found:
        y = x.clone()
        torch.ones(2).add(1)
    assert y.layout is torch.sparse_coo
    assert (found[0].inputs, found[0].outputs) == (("",), ("",))
    assert found[2].outputs != ("",)
    monkeypatch.setattr("pytest_repro.traces.digests.Digester.digest_tensor", broken)
    with trace() as found:
        assert torch.ones(2).add(1).tolist() == [2, 2]
        assert torch.from_numpy(two(2).numpy()).sum().item() == 7
    assert op_names(found)[:2] == ["ones.default", "add.Tensor"]


def test_tensors_without_values_have_no_entry() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    def fake() -> None:
        with FakeTensorMode():
            (torch.ones(2) + 1).sum()

    assert op_names(trace_call(lambda: torch.ones(2, device="meta").add(1))) == []
    assert op_names(trace_call(fake)) == []
    with FakeTensorMode():
        assert op_names(trace_call(lambda: torch.ones(2).add(1).sum())) == []


@pytest.mark.parametrize("size", [1, 1000, 3_000_000])
def test_tensors_of_any_size(size: int) -> None:
    x = run_untraced(lambda: torch.zeros(size))
    digests = [trace_call(x.clone)[0].inputs]
    for i in {0, size // 2, size - 1}:
        x[i].fill_(1)
        digests.append(trace_call(x.clone)[0].inputs)
    assert len(set(digests)) == len(digests)
