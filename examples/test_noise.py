"""Which noise a training has, and what removing it costs: `pytest examples/test_noise.py --repro-noise`.

Each brightness of a pixel has a vector of its own, which is looked up by indexing: of its gradient a CPU
with several threads adds up the parts in any order, unless deterministic algorithms are on.
"""

import torch
from digits import dataset
from torch import nn


class Looked(nn.Module):
    """Looks up a vector of 16 for each of 64 pixels, then reads them: float32[n, 64] to float32[n, 10]."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(17, 16))
        self.read = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(64 * 16, 10))

    def forward(self, images):
        return self.read(self.table[(images * 16).long()])


def test_training(repro):
    images, labels = dataset().tensors
    images, labels, model = images[:600], labels[:600], Looked()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(20):
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        read = model.eval()(dataset().tensors[0][600:]).argmax(1)
    right = (read == dataset().tensors[1][600:]).double().mean()
    repro.record(model=model, accuracy=right, labels=read)
