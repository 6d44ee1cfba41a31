"""Threads make a training noisy: --repro-noise measures how much.

The model looks up a vector for each brightness of a pixel by indexing. Without deterministic algorithms,
a CPU with several threads adds the parts of the gradient of these vectors in any order.
"""

import torch
from digits import dataset
from torch import Tensor, nn

from pytest_repro import Repro


class LookupClassifier(nn.Module):
    """Maps each of 64 pixels to a vector of 16, then classifies: float32[n, 64] to float32[n, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(17, 16))
        self.classify = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(64 * 16, 10))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.table[(images * 16).long()])
        return logits


def test_training(repro: Repro) -> None:
    images, labels = dataset().tensors
    images, labels, model = images[:600], labels[:600], LookupClassifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(20):
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        predictions = model.eval()(dataset().tensors[0][600:]).argmax(1)
    accuracy = (predictions == dataset().tensors[1][600:]).double().mean()
    repro.record(model=model, accuracy=accuracy, labels=predictions)
