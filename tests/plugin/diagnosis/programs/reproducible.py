"""Programs that are reproducible."""

from __future__ import annotations

import concurrent.futures
import functools
import random
import time
from pathlib import Path
from typing import Any

import net
import numpy as np
import pytest
import torch

varied = pytest.mark.reproducible


def test_training(repro: Any) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Dropout(), torch.nn.Linear(8, 1))
    optimiser = torch.optim.Adam(model.parameters())
    for _ in range(3):
        optimiser.zero_grad()
        loss = model(torch.randn(16, 8)).pow(2).mean()
        loss.backward()
        optimiser.step()
        repro.record(loss=loss)
    repro.record(model=model, optimiser=optimiser)


def test_loader(repro: Any) -> None:
    numbers: Any = list(range(64))
    loader: Any = torch.utils.data.DataLoader(numbers, 8, shuffle=True)
    repro.record(batches=[batch for batch in loader])  # noqa: C416


def test_own_generator(repro: Any) -> None:
    repro.record(sample=repro.rng().normal(size=5), split=np.random.default_rng(3).permutation(9))


@varied(process=True)
def test_sorted_vocabulary(repro: Any) -> None:
    words = sorted({"the", "cat", "sat", "mat"})
    repro.record(words={word: number for number, word in enumerate(words)})


@varied(order=True)
def test_sorted_files(repro: Any, tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.txt").write_text(f"{number}")
    repro.record(texts=[path.read_text() for path in sorted(tmp_path.iterdir())])


def test_mapped_in_order(repro: Any) -> None:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        repro.record(squares=list(pool.map(lambda n: n * n, range(20))))


def test_timed_but_not_recorded(repro: Any) -> None:
    start = time.perf_counter()
    total = torch.randn(100).sum()
    print(f"took {time.perf_counter() - start}")
    repro.record(total=total)


@functools.lru_cache
def _table(width: int) -> Any:
    return torch.linspace(0, 1, width)


def test_a_cache_that_does_no_harm(repro: Any) -> None:
    repro.record(table=_table(8) * torch.rand(8))


def test_a_race_that_is_held(repro: Any) -> None:
    layer = net.Gathering(100, 8)
    layer(torch.randint(0, 100, (50_000,))).pow(2).sum().backward()
    repro.record(gradient=layer.table.grad)


@varied(deterministic=False, rtol=1e-3, atol=1e-2)
def test_a_race_within_a_tolerance(repro: Any) -> None:
    repro.record(counts=net.histogram(torch.randn(500_000), 1000))


def test_locals_alone() -> None:
    random.seed(3)
    values = torch.tensor([random.random() for _ in range(4)])
    assert values.numel() == 4


test_locals_alone = varied(test_locals_alone)
