"""A seeded training has equal losses, weights and optimizer state."""

import pytest
import torch
from digits import accuracy, network, train

from pytest_repro import Repro


@pytest.mark.reproducible(runs=3)
def test_training_is_reproducible(repro: Repro) -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for loss in train(model, optimizer):
        repro.record(loss=loss)
    repro.record(model=model, optimizer=optimizer, accuracy=accuracy(model))
    assert accuracy(model) > 0.85
