"""Training in several processes: each test runs in two ranks of torch.distributed, on one machine.

What a rank records is named after it, `rank0.loss`, and compared from run to run.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.distributed as dist
from digits import dataset, network
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler


def losses(model, jitter=lambda images: images):
    """The loss of each batch of this rank; the gradients are the mean over all ranks."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sampler = DistributedSampler(dataset(), seed=0)
    for images, labels in DataLoader(dataset(), batch_size=64, sampler=sampler):
        loss = torch.nn.functional.cross_entropy(model(jitter(images)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.detach()


@pytest.mark.reproducible(ranks=2)
def test_a_training_on_halves_of_the_data(repro):
    model = DistributedDataParallel(network())
    for loss in losses(model):
        repro.record(loss=loss)
    repro.record(model=model.module)


@pytest.mark.reproducible(ranks=2)
def test_a_sum_over_ranks(repro):
    gradient = torch.rand(10_000) * 10 ** (3 * repro.rank)
    dist.all_reduce(gradient)
    repro.record(gradient=gradient)


@pytest.mark.reproducible(ranks=2)
@pytest.mark.xfail(strict=True, reason="rank 1 draws its noise from a generator without a seed")
def test_a_rank_that_forgot_its_seed(repro):
    """The loss of rank 1 differs from the first step on, that of rank 0 from the second: by its gradients."""
    noise = np.random.default_rng(0 if repro.rank == 0 else None)

    def jitter(images):
        return images + torch.from_numpy(noise.normal(0, 0.01, images.shape)).float()

    for loss in losses(DistributedDataParallel(network()), jitter):
        repro.record(loss=loss)
