"""Workers that add equal noise fail, though every run is equal."""

import numpy as np
import pytest
import torch
from digits import dataset
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from pytest_repro import assert_distinct_draws, assert_distinct_loader_draws


class Noisy(Dataset[tuple[Tensor, Tensor]]):
    """The digits with noise from a generator, which every worker gets a copy of."""

    def __init__(self) -> None:
        self.digits, self.rng = dataset(), np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.digits)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, label = self.digits[index]
        return image + torch.from_numpy(self.rng.normal(0, 0.1, 64)).float(), label


def seed_worker(worker: int) -> None:
    info = get_worker_info()
    assert info is not None
    assert isinstance(info.dataset, Noisy)
    info.dataset.rng = np.random.default_rng(torch.initial_seed())


@pytest.mark.reproducible
def test_each_worker_and_epoch_draws_other_numbers() -> None:
    assert_distinct_loader_draws(
        DataLoader(Noisy(), batch_size=64, num_workers=2, worker_init_fn=seed_worker)
    )


@pytest.mark.xfail(strict=True, reason="in each epoch, each worker starts from a copy of one generator")
@pytest.mark.reproducible
def test_a_generator_that_is_not_seeded_in_the_workers() -> None:
    assert_distinct_loader_draws(DataLoader(Noisy(), batch_size=64, num_workers=2))


@pytest.mark.xfail(strict=True, reason="each epoch shuffles with the same seed")
@pytest.mark.reproducible
def test_a_second_epoch_that_repeats_the_first() -> None:
    images, _ = dataset().tensors
    epochs: dict[str, Tensor] = {}
    for epoch in (1, 2):
        rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
        epochs[f"epoch {epoch}"] = images[rows]
    assert_distinct_draws(epochs)
