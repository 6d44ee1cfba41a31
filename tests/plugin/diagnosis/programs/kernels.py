"""Programs in which a kernel returns another result."""

from __future__ import annotations

from typing import Any

import net
import pytest
import torch

varied = pytest.mark.reproducible
racing = varied(deterministic=False)


@racing
def test_gathered(repro: Any) -> None:
    layer = net.Gathering(1000, 64)
    index = torch.randint(0, 1000, (200_000,))
    loss = (layer(index) * torch.randn(200_000, 64)).sum()
    loss.backward()
    repro.record(gradient=layer.table.grad)


@racing
def test_counted(repro: Any) -> None:
    counts = net.histogram(torch.randn(2_000_000), 1000)
    repro.record(counts=counts)


@varied(threads=(1, 2), rtol=0, atol=0)
def test_squared(repro: Any) -> None:
    weights = torch.randn(100_000)
    norm = torch.dot(weights, weights)
    repro.record(norm=norm)


@varied(threads=(1, 2), rtol=0, atol=0)
def test_convolved(repro: Any) -> None:
    layer = torch.nn.Conv2d(3, 4, 3)
    loss = layer(torch.randn(32, 3, 32, 32)).pow(2).mean()
    loss.backward()
    repro.record(gradient=layer.weight.grad)


@varied(dtype=("float32", "float64"))
def test_difference_of_squares(repro: Any) -> None:
    values = torch.arange(10_000, 10_100).to(torch.get_default_dtype()) + 0.1
    repro.record(variance=values.pow(2).mean() - values.mean().pow(2))


@varied(dtype=("float32", "float64"))
def test_drawn(repro: Any) -> None:
    repro.record(weight=torch.nn.Linear(3, 3).weight)


@varied(isa=("native", "default"), rtol=0, atol=0)
def test_exponentials(repro: Any) -> None:
    grid = torch.linspace(0, 1, 1000)
    repro.record(value=torch.exp(grid) @ torch.sin(grid))


@varied(isa=("native", "default"), rtol=0, atol=0)
def test_drawn_normal(repro: Any) -> None:
    repro.record(noise=torch.randn(64))
