"""Two threads change the last bits of weights, and no prediction.

The outcome (accuracy and predictions) must still be equal. In a longer training it would differ, too.
"""

import pytest
import torch
from digits import dataset
from torch.nn.functional import cross_entropy

from pytest_repro import Repro


@pytest.mark.reproducible(level="outcome", threads=(1, 2), rtol=0, atol=0)
def test_threads_change_no_prediction(repro: Repro) -> None:
    images, labels = dataset().tensors
    model = torch.nn.Linear(64, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(20):
        loss = cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    predictions = model(images).argmax(1)
    repro.record(model=model, predictions=predictions, correct=int((predictions == labels).sum()))
