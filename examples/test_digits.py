"""A training that is reproducible: every loss, every weight, the optimiser's state, bit for bit."""

import pytest
import torch
from digits import accuracy, network, train


@pytest.mark.reproducible(runs=3)
def test_training_is_reproducible(repro):
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for loss in train(model, optimizer):
        repro.record(loss=loss)
    repro.record(model=model, optimizer=optimizer, accuracy=accuracy(model))
    assert accuracy(model) > 0.85
