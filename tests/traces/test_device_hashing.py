"""Hashes computed on the device of a tensor."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro import first_divergence, trace
from pytest_repro.traces import device_hashing, digests
from pytest_repro.traces.device_hashing import digest_on_device
from tests.traces.tracing import find_divergence, have_equal_traces, op_names, trace_call

DTYPES = {
    "bool": 1, "uint8": 1, "int8": 1, "float8_e4m3fn": 1, "float8_e5m2": 1, "float8_e4m3fnuz": 1,
    "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1, "float16": 2, "bfloat16": 2, "int16": 2, "uint16": 2,
    "float32": 4, "int32": 4, "uint32": 4, "complex32": 4, "float64": 8, "int64": 8, "uint64": 8,
    "complex64": 8, "complex128": 16,
}  # fmt: skip
MASK = 2**64 - 1


def tensor(data: bytes, dtype: str = "uint8") -> Any:
    """*data* as a tensor of shape (n,)."""
    if not data:
        return torch.empty(0, dtype=getattr(torch, dtype))
    return torch.frombuffer(bytearray(data), dtype=torch.uint8).clone().view(getattr(torch, dtype))


def digest_of(t: Any) -> int:
    digest = digest_on_device(t)
    assert (digest.dtype, digest.shape, digest.device) == (torch.int64, (), t.device)
    return int(digest.item())


def mix(x: int) -> int:
    """The mixing function of splitmix64, in plain integers."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


@given(st.binary(max_size=200))
def test_definition(data: bytes) -> None:
    padded = data + bytes(-len(data) % 8)
    lanes = [int.from_bytes(padded[i : i + 8], "little") for i in range(0, len(padded), 8)]
    positions = [mix(i * 0x9E3779B97F4A7C15 & MASK) for i in range(1, len(lanes) + 1)]
    expected = sum(mix(lane ^ position) for lane, position in zip(lanes, positions)) & MASK
    assert digest_of(tensor(data)) & MASK == expected


@given(st.binary(min_size=1, max_size=100), st.data())
def test_every_bit_counts(data: bytes, draw: st.DataObject) -> None:
    bit = draw.draw(st.integers(0, 8 * len(data) - 1))
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    assert digest_of(tensor(bytes(changed))) != digest_of(tensor(data))


@given(st.permutations(range(12)), st.permutations(range(12)), st.sampled_from([1, 4, 8]))
def test_every_position_counts(a: list[int], b: list[int], width: int) -> None:
    left, right = (b"".join(each.to_bytes(width, "little") for each in order) for order in (a, b))
    assert (digest_of(tensor(left)) == digest_of(tensor(right))) == (a == b)


def test_values_do_not_cancel() -> None:
    equal = {digest_of(torch.full((size,), value)) for size in (2, 4, 8) for value in (0, 1, -1, 7)}
    assert len(equal) == 12
    square = torch.arange(16.0).view(4, 4)
    assert digest_of(square) != digest_of(square.t())


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.parametrize(("dtype", "width"), DTYPES.items())
@pytest.mark.parametrize("count", [0, 1, 3, 7, 64])
def test_digest_does_not_depend_on_the_dtype(dtype: str, width: int, count: int) -> None:
    data = bytes(i % 2 if dtype == "bool" else i * 37 % 256 for i in range(count * width))
    assert digest_of(tensor(data, dtype)) == digest_of(tensor(data))


@given(st.binary(min_size=24, max_size=24), st.permutations([0, 1, 2]), st.sampled_from([1, 2]))
def test_memory_layout_does_not_count(data: bytes, order: list[int], step: int) -> None:
    t = tensor(data).view(2, 3, 4).permute(order)[..., ::step]
    assert digest_of(t) == digest_of(t.contiguous())
    flat = tensor(b"xyz" + data)[3:]  # unaligned start
    assert digest_of(flat) == digest_of(tensor(data))
    assert digest_of(tensor(data[:1]).expand(9)) == digest_of(tensor(data[:1] * 9))


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
def test_conjugated_and_negated_views() -> None:
    z = torch.tensor([1 + 2j, 3 - 4j])
    assert digest_of(z.conj()) == digest_of(z.conj().resolve_conj()) != digest_of(z)
    assert digest_of(z.conj().imag) == digest_of(-z.imag)
    assert digest_of(torch._neg_view(z.real.clone())) == digest_of(-z.real)
    assert digest_of(z.requires_grad_()) == digest_of(z.detach())


@given(st.binary(max_size=300), st.integers(1, 9))
def test_blocks_add_up(data: bytes, block: int) -> None:
    whole = digest_of(tensor(data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device_hashing, "_BLOCK_LANES", block)
        assert digest_of(tensor(data)) == whole


@pytest.fixture
def digest_on_cpu_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """CPU tensors are digested like those of another device."""
    monkeypatch.setattr(digests, "should_digest_on_device", lambda t: True)
    monkeypatch.setattr(digests, "_make_reader", lambda size: None)


@pytest.mark.usefixtures("digest_on_cpu_device")
def test_pending_digests_are_fetched_at_the_end() -> None:
    x = torch.arange(6.0)

    def program(by: float) -> None:
        y = x * by
        y.add_(1)
        torch.sort(y)
        y.sum().item()

    same = trace_call(lambda: program(2)), trace_call(lambda: program(2))
    assert op_names(same[0]) == ["mul.Tensor", "add_.Tensor", "sort.default", "sum.default",
                              "_local_scalar_dense.default"]  # fmt: skip
    assert all(digest for op in same[0] for digest in op.outputs + op.inputs)
    assert first_divergence(*same) is None
    assert have_equal_traces(x.clone, x.clone)
    for other in (torch.arange(6.0).flip(0), torch.arange(6.0).view(2, 3), torch.arange(6)):
        assert find_divergence(x.clone, other.clone).kind == "input"


@pytest.mark.usefixtures("digest_on_cpu_device")
def test_many_pending_digests_are_fetched_earlier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_repro.traces.digests._MAX_PENDING", 8)
    with trace() as found:
        x = torch.ones(3)
        for _ in range(30):
            x = x.mul(1.5)
        assert [bool(op.outputs[0]) for op in found][:20] == [True] * 20
    assert len({op.outputs for op in found}) == len(found)


@pytest.mark.usefixtures("digest_on_cpu_device")
def test_each_tensor_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Any] = []

    def counted(t: Any) -> Any:
        hashed.append(t)
        return digest_on_device(t)

    monkeypatch.setattr(digests, "digest_on_device", counted)
    x = torch.ones(3)
    assert len(trace_call(lambda: x.mul(2).add(1).add_(1))) == 3
    assert len(hashed) == 4


@pytest.mark.usefixtures("digest_on_cpu_device")
def test_failing_devices_do_not_stop_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> list[int]:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(digests, "fetch_digests", fails)
    with trace() as found:
        result = torch.ones(3).add(1)
    assert result.tolist() == [2, 2, 2]
    assert [op.outputs for op in found] == [("",), ("",)]


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.parametrize(("dtype", "width"), DTYPES.items())
@pytest.mark.parametrize("count", [0, 1, 3, 1000, 5_000_001])
def test_cuda_and_cpu_agree(dtype: str, width: int, count: int) -> None:
    data = torch.randint(0, 2 if dtype == "bool" else 256, (count * width,), dtype=torch.uint8)
    t = data.view(getattr(torch, dtype)) if count else tensor(b"", dtype)
    assert digest_of(t.cuda()) == digest_of(t)


@pytest.mark.gpu
def test_cuda_tensors_are_not_transferred() -> None:
    x = torch.rand(1000, 1000, device="cuda")
    torch.cuda.synchronize()
    with trace() as found:
        torch.cuda.set_sync_debug_mode("error")
        try:
            x.mul(2).add_(1).sum()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert op_names(found) == ["mul.Tensor", "add_.Tensor", "sum.default"]
    assert all(op.outputs[0] for op in found)


@pytest.mark.gpu
def test_one_bit_of_a_cuda_tensor() -> None:
    x = torch.rand(1000, 1000, device="cuda")
    y = x.clone()
    y[999, 999] = torch.nextafter(y[999, 999], y.new_tensor(2.0))
    assert find_divergence(lambda: x.mul(2), lambda: y.mul(2)).kind == "input"


@pytest.mark.gpu
def test_cuda_generators_count() -> None:
    def program(seed: int) -> None:
        torch.manual_seed(seed)
        torch.rand(4, device="cuda").sum()

    assert have_equal_traces(lambda: program(1), lambda: program(1))
    found = find_divergence(lambda: program(1), lambda: program(2))
    assert (found.kind, found.op, found.random) == ("input", "aten.rand.default", True)


@pytest.mark.gpu
def test_cuda_backward_ops_have_their_forward_op() -> None:
    w: Any = torch.rand(8, 8, device="cuda", requires_grad=True)
    found = trace_call(lambda: (w @ w).sin().sum().backward())
    assert {found[op.forward].name for op in found if op.forward is not None} >= {
        "aten.mm.default", "aten.sin.default",
    }  # fmt: skip
