"""A test as it was: its local tensors and arrays are compared."""

import pytest
import torch


@pytest.mark.reproducible
def test_attention() -> None:
    torch.manual_seed(3)
    attention = torch.nn.MultiheadAttention(16, 4, batch_first=True)
    tokens = torch.randn(2, 10, 16)
    out, weights = attention(tokens, tokens, tokens)
    assert out.shape == (2, 10, 16)
    assert torch.allclose(weights.sum(-1), torch.ones(2, 10))
