"""A small network and its training on scikit-learn's 1,797 handwritten digits, ten classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

Augment = Callable[[Tensor], Tensor]


def dataset() -> TensorDataset:
    """Images as float32[1797, 64] from 0 to 1, labels as int64[1797]."""
    digits = load_digits()
    images = torch.tensor(digits.data, dtype=torch.float32) / 16
    return TensorDataset(images, torch.tensor(digits.target))


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 10))


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    epochs: int = 2,
    augment: Augment = lambda images: images,
) -> Iterator[Tensor]:
    """Trains *model* and yields the loss of each batch of 64."""
    loader = DataLoader(dataset(), batch_size=64, shuffle=True)
    for _ in range(epochs):
        for images, labels in loader:
            loss = nn.functional.cross_entropy(model(augment(images)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.detach()


def accuracy(model: nn.Module) -> float:
    """Share of the images that *model* classifies correctly."""
    model.eval()
    images, labels = dataset().tensors
    with torch.no_grad():
        return float((model(images).argmax(1) == labels).double().mean())
