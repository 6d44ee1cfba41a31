"""The adapter of torch: what modules hold beside parameters and buffers."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from pytest_repro.adapters import digest, flatten
from pytest_repro.core.runs.pytree import iter_leaves
from tests.conftest import Project


class Tracker(torch.nn.Module):
    def __init__(self, number: float) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.rate, self.name, self.owner = number, "a", [self, object()]
        self.means = torch.full((2,), number)
        self.history: list[Any] = [(torch.full((1,), number), "text")]
        self.seen = {"a": {0: np.full(1, number)}, "same": self.layer.weight}
        self.generator = torch.Generator().manual_seed(int(number))
        self.unregistered = [torch.nn.Linear(1, 1, bias=False)]


def read(value: object) -> list[str]:
    return [path for path, _, _ in iter_leaves(value, "x", flatten)]


def test_tensors_that_are_attributes_are_read_once() -> None:
    own = ["generator.state", "history[0][0]", "means", "seen['a'][0]", "unregistered[0].weight"]
    assert read(Tracker(1.0)) == [".layer.weight", ".layer.bias", *(f".{path}" for path in own)]
    nested = torch.nn.Sequential(torch.nn.ReLU(), Tracker(1.0))
    assert read(nested)[2:] == [f"[1].{path}" for path in own]
    assert read(torch.nn.LSTM(1, 1, bias=False)) == [".weight_ih_l0", ".weight_hh_l0"]


def test_depth_and_keys_hide_nothing() -> None:
    layer, loop = torch.nn.Linear(1, 1), list[Any]()
    module: Any = torch.nn.Module()
    loop += [loop, torch.ones(1)]
    module.deep, module.loop, module.queue = [[[[[[torch.ones(1)]]]]]], loop, deque([torch.ones(1)])
    module.table = {(0, "a"): torch.ones(1), True: torch.ones(1), b"k": 1.0, layer: torch.ones(1)}
    table = ["table[(0, 'a')]", "table[True]", "table[Linear 3]"]
    assert read(module) == [f".{path}" for path in ["deep[0][0][0][0][0][0]", "loop[1]", "queue[0]", *table]]


def test_what_attributes_hold_is_compared(project: Project) -> None:
    source = """
    import numpy, torch

    class Average(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.total = torch.zeros(2)

        def forward(self, x):
            self.total = self.total + x
            return x

    def make():
        average = Average()
        average(torch.from_numpy(numpy.random.default_rng().random(2)))
        return average

    def test_recorded(repro):
        repro.record(average=make())

    def test_local():
        average = make()
    """
    result = project(source, "--repro-all").check(failed=2)
    names = [[row["name"] for row in test["mismatches"]] for test in result.report["tests"]]
    assert names == [["average.total"], ["locals.average.total"]]


def test_states_of_metrics() -> None:
    torchmetrics = pytest.importorskip("torchmetrics")
    one, other = torchmetrics.MeanSquaredError(), torchmetrics.MeanSquaredError()
    assert digest(one) == digest(other)
    one.update(torch.ones(3), torch.zeros(3))
    other.update(torch.ones(3) * 2, torch.zeros(3))
    assert digest(one) != digest(other)
    assert ".sum_squared_error" in read(one)
    collected = torchmetrics.CatMetric()
    collected.update(torch.ones(2))
    assert read(collected) == [".value[0]"]
