"""Three everyday reasons why "I seeded everything" fails.

Each test is an expected failure; `pytest examples -rx --xfail-tb` shows its message.
"""

import time

import numpy as np
import pytest
import torch
from digits import network, train
from torch import Tensor, nn

from pytest_repro import Repro

CACHE: dict[str, nn.Module] = {}


@pytest.mark.xfail(strict=True, reason="default_rng() without a seed reads entropy from the operating system")
def test_augmentation_draws_from_an_unseeded_generator(repro: Repro) -> None:
    def jitter(images: Tensor) -> Tensor:
        noise = np.random.default_rng().normal(0, 0.01, images.shape)
        return images + torch.from_numpy(noise).float()

    model = network()
    for loss in train(model, torch.optim.SGD(model.parameters(), lr=0.1), epochs=1, augment=jitter):
        repro.record(loss=loss)


@pytest.mark.xfail(strict=True, reason="the model is created once, so each run continues from the last one")
def test_a_cached_model_carries_over(repro: Repro) -> None:
    model = CACHE.setdefault("model", network())
    for loss in train(model, torch.optim.SGD(model.parameters(), lr=0.1), epochs=1):
        repro.record(loss=loss)


@pytest.mark.xfail(strict=True, reason="the learning rate depends on the clock")
def test_a_schedule_that_depends_on_the_clock(repro: Repro) -> None:
    model, start = network(), time.perf_counter()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for loss in train(model, optimizer, epochs=1):
        optimizer.param_groups[0]["lr"] = 0.1 / (1 + time.perf_counter() - start)
        repro.record(loss=loss)
