"""What determinism costs: `pytest examples/test_cost.py --repro-cost` also times it without.

Gathering with repeated indices is where deterministic algorithms have another kernel on a CPU.
"""

import torch


def test_gathering_rows(repro):
    table = torch.randn(200_000, requires_grad=True)
    rows = torch.randint(200_000, (400_000,))
    table[rows].square().sum().backward()
    repro.record(gradient=table.grad)
