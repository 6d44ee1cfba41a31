"""Workers of a loader add noise of their own: that two add the same is equal in every run."""

import numpy as np
import pytest
import torch
from digits import dataset
from torch.utils.data import DataLoader, Dataset, get_worker_info

from pytest_repro import assert_distinct_draws, assert_distinct_loader_draws


class Noisy(Dataset):
    """The digits with noise, from a generator that is copied to every worker."""

    def __init__(self):
        self.digits, self.rng = dataset(), np.random.default_rng(0)

    def __len__(self):
        return len(self.digits)

    def __getitem__(self, index):
        image, label = self.digits[index]
        return image + torch.from_numpy(self.rng.normal(0, 0.1, 64)).float(), label


def seeded(worker):
    get_worker_info().dataset.rng = np.random.default_rng(torch.initial_seed())


@pytest.mark.reproducible
def test_each_worker_and_epoch_draws_numbers_of_its_own():
    assert_distinct_loader_draws(DataLoader(Noisy(), batch_size=64, num_workers=2, worker_init_fn=seeded))


@pytest.mark.xfail(strict=True, reason="each worker begins with a copy of one generator, in each epoch anew")
@pytest.mark.reproducible
def test_a_generator_that_nobody_seeds_in_the_workers():
    assert_distinct_loader_draws(DataLoader(Noisy(), batch_size=64, num_workers=2))


@pytest.mark.xfail(strict=True, reason="the shuffle is seeded anew for each epoch")
@pytest.mark.reproducible
def test_an_epoch_that_repeats_the_first():
    images, _ = dataset().tensors
    epochs = {}
    for epoch in (1, 2):
        rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
        epochs[f"epoch {epoch}"] = images[rows]
    assert_distinct_draws(epochs)
