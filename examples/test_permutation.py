"""Two networks are equal but for the order of hidden units.

None of their weights are equal, so comparing weights shows nothing; comparing activations does.
"""

import torch
from digits import dataset
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pytest_repro import Repro, metrics


class Network(nn.Module):
    """A classifier with one hidden layer of 24 units: float32[n, 64] to float32[n, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(64, 24), nn.Linear(24, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.last.forward(self.first(images).tanh())


def trained(seed: int) -> Network:
    torch.manual_seed(seed)
    images, labels = dataset().tensors
    model = Network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


@torch.no_grad()
def shuffled(model: Network) -> Network:
    """The same function with its hidden units in another order."""
    order, copy = torch.randperm(model.first.out_features), Network()
    copy.first.weight.copy_(model.first.weight[order])
    copy.first.bias.copy_(model.first.bias[order])
    copy.last.weight.copy_(model.last.weight[:, order])
    copy.last.bias.copy_(model.last.bias)
    return copy


@torch.no_grad()
def hidden(model: Network) -> Tensor:
    """Activations of the hidden units: float32[1797, 24]."""
    return model.first.forward(dataset().tensors[0]).tanh()


def test_the_order_of_units_does_not_matter(repro: Repro) -> None:
    model = trained(repro.seed)
    same, other = shuffled(model), trained(repro.seed + 1)
    repro.record(model=model)
    assert metrics.l2_normalised([model.first.weight.detach(), same.first.weight.detach()]) > 1

    up_to_order = metrics.match_neurons(hidden(model), hidden(same))
    print(up_to_order)  # best match 1.000, random basis 0.715, excess +0.285 (24 units, 1797 samples)
    assert up_to_order.mean > 0.999
    assert up_to_order.one_to_one

    different = metrics.match_neurons(hidden(model), hidden(other))
    print(different)  # best match 0.732, random basis 0.687, excess +0.045 (24 units, 1797 samples)
    assert different.mean < 0.9
    assert different.excess < up_to_order.excess / 2
