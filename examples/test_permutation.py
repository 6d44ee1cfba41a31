"""Two networks that are equal up to the order of their hidden units, told from different ones.

No weight of theirs is equal, so a comparison of weights says nothing; the activations do.
"""

import torch
from digits import dataset
from torch import nn
from torch.nn.functional import cross_entropy

from pytest_repro import metrics


def trained(seed):
    torch.manual_seed(seed)
    images, labels = dataset().tensors
    model = nn.Sequential(nn.Linear(64, 24), nn.Tanh(), nn.Linear(24, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def shuffled(model):
    """The same function, its hidden units in another order."""
    first, tanh, last = model
    order = torch.randperm(first.out_features)
    one, two = nn.Linear(64, 24), nn.Linear(24, 10)
    with torch.no_grad():
        one.weight.copy_(first.weight[order])
        one.bias.copy_(first.bias[order])
        two.weight.copy_(last.weight[:, order])
        two.bias.copy_(last.bias)
    return nn.Sequential(one, tanh, two)


@torch.no_grad()
def hidden(model):
    """Activations of the hidden units: float32[1797, 24]."""
    return model[:2](dataset().tensors[0])


def test_an_order_is_no_difference(repro):
    model = trained(repro.seed)
    same, other = shuffled(model), trained(repro.seed + 1)
    repro.record(model=model)
    assert metrics.l2_normalised([model[0].weight.detach(), same[0].weight.detach()]) > 1

    up_to_order = metrics.match_neurons(hidden(model), hidden(same))
    print(up_to_order)  # best match 1.000, random basis 0.715, excess +0.285 (24 units, 1797 samples)
    assert up_to_order.mean > 0.999
    assert up_to_order.one_to_one

    different = metrics.match_neurons(hidden(model), hidden(other))
    print(different)  # best match 0.732, random basis 0.687, excess +0.045 (24 units, 1797 samples)
    assert different.mean < 0.9
    assert different.excess < up_to_order.excess / 2
