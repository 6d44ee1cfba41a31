"""Determinism has a cost: --repro-cost measures it.

On a CPU, deterministic algorithms use another kernel for the gradient of indexing with repeated indices.
"""

import torch

from pytest_repro import Repro


def test_gathering_rows(repro: Repro) -> None:
    table = torch.randn(200_000, requires_grad=True)
    rows = torch.randint(200_000, (400_000,))
    table[rows].square().sum().backward()
    repro.record(gradient=table.grad)
