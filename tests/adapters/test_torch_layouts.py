from __future__ import annotations

import warnings
from typing import Any

import pytest

from pytest_repro.adapters import digest
from tests.adapters import IGNORE_TORCH_STAGES

torch = pytest.importorskip("torch")
_tensors = pytest.importorskip("pytest_repro.adapters._torch.tensors")

pytestmark = IGNORE_TORCH_STAGES

SPARSE = ("coo", "csr", "csc", "bsr", "bsc")
SPARSE_DTYPES = (
    "float32", "float64", "bfloat16", "float16", "bool", "int8", "int64", "uint16", "complex32",
    "complex64", "float8_e4m3fn", "float8_e5m2",
)  # fmt: skip


def sparse(dense: Any, layout: str) -> Any:
    """*dense* with a sparse layout, through int8: torch cannot convert every dtype."""
    small = (dense.to(torch.complex64).real != 0).to(torch.int8)
    blocks = {"blocksize": (2, 2)} if layout.startswith("b") else {}
    found = getattr(small, "to_sparse" if layout == "coo" else f"to_sparse_{layout}")(**blocks)
    if layout == "coo":
        values = dense[tuple(found.indices())]
        return torch.sparse_coo_tensor(found.indices(), values, dense.shape, is_coalesced=True)
    by_row = layout in ("csr", "bsr")
    indices = (
        (found.crow_indices(), found.col_indices()) if by_row else (found.ccol_indices(), found.row_indices())
    )
    values = (
        found.values().to(dense.dtype) * 1 if dense.dtype.itemsize > 1 else found.values().to(dense.dtype)
    )
    return torch.sparse_compressed_tensor(*indices, values, dense.shape, layout=found.layout)


@pytest.mark.parametrize("layout", SPARSE)
@pytest.mark.parametrize("name", SPARSE_DTYPES)
def test_sparse_tensors_equal_dense_ones(name: str, layout: str) -> None:
    pattern = torch.tensor([[0, 1, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]])
    dense = pattern.to(getattr(torch, name))
    try:
        found = sparse(dense, layout)
    except NotImplementedError as error:
        pytest.skip(f"torch has no such tensor: {error}")
    assert digest(found) == digest(dense)


def test_hybrid_batched_and_uncoalesced_sparse_tensors() -> None:
    dense = torch.rand(3, 4, 5)
    assert digest(dense.to_sparse(1)) == digest(dense.to_sparse(2)) == digest(dense)
    assert digest(torch.eye(4).repeat(3, 1, 1).to_sparse_csr()) == digest(torch.eye(4).repeat(3, 1, 1))
    twice = torch.sparse_coo_tensor([[1, 1]], [1.0, 2.0], (3,))
    assert digest(twice) == digest(torch.tensor([0.0, 3.0, 0.0]))
    assert digest(torch.sparse_coo_tensor(torch.empty(2, 0), [], (2, 3))) == digest(torch.zeros(2, 3))
    assert digest(torch.sparse_coo_tensor(torch.empty(0, 1), [3.0], ())) == digest(torch.tensor(3.0))


def test_sparse_tensors_are_densified_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tensors, "_DENSE_BLOCK_BYTES", 64)
    dense = torch.rand(13, 11) * (torch.rand(13, 11) > 0.7)
    assert digest(dense.to_sparse()) == digest(dense.to_sparse_csr()) == digest(dense)


def test_huge_sparse_tensors() -> None:
    index = torch.tensor([[5], [7]])
    huge = torch.sparse_coo_tensor(index, [1.0], (10**6, 10**6))
    assert digest(huge) != digest(torch.sparse_coo_tensor(index, [2.0], (10**6, 10**6)))


def test_quantised_tensors() -> None:
    values = torch.rand(3, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tensors = [
            torch.quantize_per_tensor(values, *p, torch.quint8) for p in ((0.1, 3), (0.2, 3), (0.1, 4))
        ]
        scales, zeros = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0, 1, 2])
        tensors += [torch.quantize_per_channel(values, scales * k, zeros, 0, torch.qint8) for k in (1, 2)]
        assert len({digest(t) for t in tensors}) == len(tensors)
        again = torch.quantize_per_tensor(values, 0.1, 3, torch.quint8)
        assert digest(again) == digest(tensors[0])
        assert digest(again.t()) == digest(again.t().contiguous())


def test_nested_tensors_are_compared_by_their_parts() -> None:
    rows = [torch.ones(2), torch.zeros(3)]
    found = torch.nested.nested_tensor(rows)
    assert digest(torch.nested.nested_tensor(rows, layout=torch.jagged)) == digest(found)
    assert digest(torch.nested.nested_tensor([torch.ones(2), torch.zeros(2)])) != digest(found)
