"""Two ranks of torch.distributed train to equal losses.

Recorded names start with the rank, `rank0.loss`; each rank is compared from run to run.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.distributed as dist
from digits import Augment, dataset, network
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler

from pytest_repro import Repro


def losses(model: nn.Module, jitter: Augment = lambda images: images) -> Iterator[Tensor]:
    """Trains *model* and yields the loss of each batch of this rank; gradients are averaged over ranks."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sampler: DistributedSampler[tuple[Tensor, ...]] = DistributedSampler(dataset(), seed=0)
    for images, labels in DataLoader(dataset(), batch_size=64, sampler=sampler):
        loss = nn.functional.cross_entropy(model(jitter(images)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.detach()


@pytest.mark.reproducible(ranks=2)
def test_training_on_halves_of_the_data(repro: Repro) -> None:
    model = DistributedDataParallel(network())
    for loss in losses(model):
        repro.record(loss=loss)
    repro.record(model=model.module)


@pytest.mark.reproducible(ranks=2)
def test_a_sum_over_ranks(repro: Repro) -> None:
    gradient = torch.rand(10_000) * 10 ** (3 * repro.rank)
    dist.all_reduce(gradient)
    repro.record(gradient=gradient)


@pytest.mark.reproducible(ranks=2)
@pytest.mark.xfail(strict=True, reason="rank 1 draws noise from an unseeded generator")
def test_a_rank_that_forgot_its_seed(repro: Repro) -> None:
    """The loss of rank 1 differs from step 0 on, that of rank 0 from step 1, through the gradients."""
    noise = np.random.default_rng(0 if repro.rank == 0 else None)

    def jitter(images: Tensor) -> Tensor:
        return images + torch.from_numpy(noise.normal(0, 0.01, images.shape)).float()

    for loss in losses(DistributedDataParallel(network()), jitter):
        repro.record(loss=loss)
