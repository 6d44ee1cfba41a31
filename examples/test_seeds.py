"""Over five seeds, the accuracy keeps within its budget.

`pytest examples/test_seeds.py` runs it with seeds 0 to 4; `--repro-seeds=0-99` with a hundred seeds.
"""

import pytest
import torch
from digits import accuracy, dataset, network, train

from pytest_repro import Repro


@pytest.mark.reproducible(seeds=5)
def test_training_over_seeds(repro: Repro) -> None:
    model = network()
    for _ in train(model, torch.optim.Adam(model.parameters(), lr=3e-3)):
        pass
    with torch.no_grad():
        labels = model.eval()(dataset().tensors[0]).argmax(1)
    repro.record(accuracy=accuracy(model), labels=labels)
    repro.budget("accuracy", std=0.02, range=0.06)
    assert accuracy(model) > 0.8
