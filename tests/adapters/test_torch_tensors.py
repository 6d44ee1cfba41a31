from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.adapters import _numpy_arrays, digest, flatten
from pytest_repro.core.runs.observation import Leaf
from tests.adapters import IGNORE_TORCH_STAGES

torch = pytest.importorskip("torch")
_tensors = pytest.importorskip("pytest_repro.adapters._torch.tensors")

pytestmark = IGNORE_TORCH_STAGES


def _dtypes() -> list[Any]:
    return sorted({d for d in vars(torch).values() if isinstance(d, torch.dtype)}, key=str)


def _can_hold_values(dtype: Any) -> bool:
    if str(dtype).startswith(("torch.qint", "torch.quint")):
        return False
    try:
        torch.zeros(16, dtype=torch.uint8).view(dtype)
    except RuntimeError:
        return False
    return True


PLAIN = [dtype for dtype in _dtypes() if _can_hold_values(dtype)]


def random_tensor(dtype: Any, *shape: int, seed: int = 0) -> Any:
    size = int(np.prod(shape)) * dtype.itemsize
    if dtype is torch.bool:
        return torch.from_numpy(np.random.default_rng(seed).random(shape) < 0.5)
    raw = np.random.default_rng(seed).integers(0, 256, max(size, 1), dtype="u1")
    return torch.from_numpy(raw)[:size].view(dtype).reshape(shape)


def logical_bytes(tensor: Any) -> bytes:
    found = flatten(tensor)
    assert isinstance(found, Leaf)
    content = b"".join(bytes(piece) for piece in found.read_chunks())
    assert len(content) == found.nbytes
    return content


def strided(t: Any) -> list[Any]:
    """The same values with different strides, offsets and owners."""
    wide = torch.empty((*t.shape, 2), dtype=t.dtype)
    wide[..., 1] = t
    return [
        t.clone(),
        wide[..., 1],
        t.transpose(0, -1).contiguous().transpose(0, -1),
        torch.cat([t, t])[len(t) :],
    ]


@pytest.mark.parametrize("dtype", PLAIN, ids=str)
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (1, 1), (5, 0), (1,)])
def test_layout_does_not_count(dtype: Any, shape: tuple[int, ...]) -> None:
    bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.complex128}[
        dtype.itemsize
    ]
    t = random_tensor(dtype, *shape)
    same = {digest(each.view(dtype)) for each in strided(t.view(bits))}
    assert same == {digest(t)}
    assert logical_bytes(t) == t.view(bits).numpy().tobytes()


@pytest.mark.parametrize("dtype", PLAIN, ids=str)
def test_each_element_and_the_dtype_count(dtype: Any) -> None:
    t = torch.zeros(4 * dtype.itemsize, dtype=torch.uint8)
    digests = {digest(t.view(dtype))}
    for i in range(4):
        t.zero_()[i * dtype.itemsize] = 1
        digests.add(digest(t.view(dtype)))
    assert len(digests) == 5
    assert len({digest(torch.zeros(16, dtype=torch.uint8).view(d)[:1]) for d in PLAIN}) == len(PLAIN)


@pytest.mark.parametrize("name", ["float32", "float64", "int64", "int16", "uint8", "bool", "complex64"])
def test_tensors_equal_arrays(name: str) -> None:
    array = np.ones((2, 3), name)
    assert digest(torch.from_numpy(array)) == digest(array)


@given(st.integers(0, 2), st.lists(st.integers(1, 9), min_size=3, max_size=3), st.permutations(range(3)))
def test_views(step: int, shape: list[int], order: list[int]) -> None:
    base = torch.arange(1000, dtype=torch.int16)[: shape[0] * shape[1] * shape[2]].reshape(shape)
    view = base.permute(order)[:: step + 1].expand(*base.permute(order)[:: step + 1].shape)
    assert digest(view) == digest(view.contiguous()) == digest(view.numpy())


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1), (2, 0, 1)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.complex128, torch.uint8], ids=str)
def test_large_views_are_read_in_blocks(order: Any, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    t = random_tensor(dtype, 23, 41, 17)
    expected = [digest(each) for each in (t.permute(order).contiguous(), t[:, ::2].contiguous())]
    for owner, name, size in (
        (_tensors, "_WHOLE_COPY_BYTES", 0),
        (_tensors, "ROW_BLOCK_BYTES", 0),
        (_numpy_arrays, "ROW_BLOCK_BYTES", 256),
    ):
        monkeypatch.setattr(owner, name, size)
    monkeypatch.setattr(_numpy_arrays, "TILED_BLOCK_BYTES", 2**11)
    assert [digest(t.permute(order)), digest(t[:, ::2])] == expected


def test_expanded_tensors() -> None:
    row = torch.rand(1, 700)
    assert digest(row.expand(900, 700)) == digest(row.expand(900, 700).clone())
    assert digest(torch.ones(1).expand(5, 0)) == digest(torch.ones(5, 0))
    assert digest(torch.empty_strided((1,), (0,), dtype=torch.bfloat16).fill_(1)) == digest(
        torch.ones(1).bfloat16()
    )


def test_conjugate_and_negative_views() -> None:
    t = torch.randn(700, 300, dtype=torch.complex64)
    assert digest(t.conj()) == digest(t.conj().resolve_conj()) != digest(t)
    assert digest(t.conj().imag) == digest(t.conj().imag.resolve_neg()) != digest(t.imag)
    assert digest(t[0, :2].conj().imag) == digest(-t[0, :2].imag)


def test_bits_count() -> None:
    nans = torch.tensor([0x7FC00000, 0x7FC00001, -1], dtype=torch.int32).view(torch.float32)
    values = [*nans, torch.tensor(0.0), torch.tensor(-0.0), torch.tensor(1e-45), torch.tensor(3e-45)]
    assert len({digest(v) for v in values}) == len(values)


def test_gradients_and_parameters_are_metadata() -> None:
    t = torch.rand(3, 2)
    assert digest(t) == digest(t.clone().requires_grad_()) == digest(torch.nn.Parameter(t))
    assert digest((torch.nn.Parameter(t) * 1).T) == digest(t.T)
    found = flatten(torch.nn.Parameter(t))
    assert isinstance(found, Leaf)
    assert found.metadata == "torch.strided, cpu, requires grad"


def test_threads_do_not_change_the_digest() -> None:
    t, before = torch.rand(3000, 2000), torch.get_num_threads()
    found = set()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found |= {digest(t), digest(t.T.contiguous().T)}
    finally:
        torch.set_num_threads(before)
    assert len(found) == 1


def test_default_device_and_grad_mode_do_not_count() -> None:
    t = torch.rand(40, 30) * torch.eye(40, 30)
    values = (t, t.T, t.to_sparse(), t.to_mkldnn())
    expected = [digest(value) for value in values]
    with torch.device("meta"):
        assert [digest(value) for value in values] == expected
    with torch.inference_mode():
        assert [digest(value) for value in values] == expected


def test_zero_tensors_of_forward_mode() -> None:
    assert digest(torch._efficientzerotensor(3)) == digest(torch.zeros(3))


def _fake() -> Any:
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode():
        return torch.rand(3)


def _freed() -> Any:
    t = torch.rand(3)
    t.untyped_storage().resize_(0)
    return t


@pytest.mark.parametrize("make", [_fake, _freed])
def test_tensors_without_memory_are_refused(make: Any) -> None:
    from pytest_repro.adapters.torch import adapter

    t = make()
    read = adapter.fast_readers.get(type(t))
    assert read is None or read(t) is None
    with pytest.raises(TypeError, match="value has no memory: it is a fake tensor, or its storage was freed"):
        digest(t)


def test_what_the_fast_reader_refuses() -> None:
    from pytest_repro.adapters.torch import adapter

    read, t = adapter.fast_readers[torch.Tensor], torch.rand(4, 4)
    complex_view = torch.rand(2, dtype=torch.complex64).conj().imag
    layouts = [t.to_sparse(), t.to_sparse_csr(), t.to_sparse_bsc((2, 2)), t.to_mkldnn()]
    layouts += [torch.nested.nested_tensor([t]), torch.nested.nested_tensor([t], layout=torch.jagged)]
    refused = [*layouts, t.T, torch.rand(200), torch.empty(0), complex_view, t.to("meta"), t.cfloat()]
    assert [read(tensor) for tensor in refused] == [None] * len(refused)
    assert read(t) == ((torch.float32, t.shape), t.numpy().tobytes())


def test_modules_equal_their_parameters_and_buffers() -> None:
    a, b = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    assert digest(a) == digest(b)
    b.num_batches_tracked += 1
    assert digest(a) != digest(b)


def test_optimisers_equal_their_state() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    optimiser = torch.optim.Adam([weight], lr=0.1)
    before = digest(optimiser)
    weight.sum().backward()
    optimiser.step()
    after = digest(optimiser)
    optimiser.param_groups[0]["lr"] = 0.2
    assert len({before, after, digest(optimiser)}) == 3


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", PLAIN, ids=str)
def test_device_does_not_count(dtype: Any) -> None:
    t = random_tensor(dtype, 40, 30)
    assert digest(t.cuda()) == digest(t)
    assert digest(t.cuda().T) == digest(t.T)
