"""Programs in which one run leaves state behind for the next."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import net
import pytest
import torch

HISTORY: list[float] = []
NORM = torch.nn.BatchNorm1d(4)
PLACES: dict[str, int] = {}
STEPS = iter(range(1000))


def test_history_grows(repro: Any) -> None:
    loss = float(torch.rand(1))
    HISTORY.append(loss)
    repro.record(average=sum(HISTORY) / (len(HISTORY) + 1))


def test_cached(repro: Any) -> None:
    hit = "mean" in PLACES
    PLACES.setdefault("mean", 3)
    draws = torch.rand(2) if hit else torch.rand(2) + torch.rand(2)
    repro.record(draws=draws)


def test_cached_by_functools(repro: Any) -> None:
    before = net.tokens.cache_info().currsize
    net.tokens("cat", before)
    repro.record(found=before)


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return torch.nn.Linear(4, 1)


def test_trains_a_module_fixture(repro: Any, model: torch.nn.Module) -> None:
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = model(torch.randn(8, 4)).pow(2).mean()
    loss.backward()
    optimiser.step()
    repro.record(loss=loss)


def test_running_mean(repro: Any) -> None:
    NORM(torch.randn(8, 4))
    repro.record(mean=NORM.running_mean)


@pytest.mark.parametrize("weights", [[1.0, 2.0, 3.0]])
def test_normalises_a_parameter(repro: Any, weights: list[float]) -> None:
    repro.record(weights=list(weights))
    weights[0] += 1


def test_dtype_left_set(repro: Any) -> None:
    model = torch.nn.Linear(3, 1)
    torch.set_default_dtype(torch.float64)
    repro.record(weight=model.weight)


def test_default_argument(repro: Any) -> None:
    repro.record(items=net.collected(1.0))


def test_library_seeds_once(repro: Any) -> None:
    net.Registry.start()
    repro.record(draw=random.random())


def test_results_in_a_file(repro: Any) -> None:
    path = Path("results.txt")
    path.write_text((path.read_text() if path.exists() else "") + "1\n")
    repro.record(lines=len(path.read_text().splitlines()))


def test_an_iterator_moves_on(repro: Any) -> None:
    repro.record(step=next(STEPS))
