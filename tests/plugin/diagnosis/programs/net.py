"""Imported by the programs: layers, data, a library that was not written for tests."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

torch.set_num_threads(2)


class Gathering(torch.nn.Module):
    """An embedding written by hand."""

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(torch.randn(rows, width))

    def forward(self, index: torch.Tensor) -> torch.Tensor:
        return self.table[index]


def augmented(batch: torch.Tensor, step: int) -> torch.Tensor:
    """*batch*, with noise once the training has warmed up."""
    if step < 2:
        return batch
    noise = np.random.default_rng().normal(size=tuple(batch.shape))
    return batch + torch.from_numpy(noise).float() * 0.1


def histogram(values: torch.Tensor, bins: int) -> torch.Tensor:
    found = torch.zeros(bins)
    places = torch.arange(values.numel()) % bins
    found.put_(places, values, accumulate=True)
    return found


def vocabulary(text: str) -> dict[str, int]:
    return {word: number for number, word in enumerate(set(text.split()))}


def hashed(words: Sequence[str], width: int) -> Any:
    found = np.zeros(width)
    for word in words:
        found[hash(word) % width] += 1
    return found


def padded(rows: Sequence[Sequence[float]], width: int) -> Any:
    found = np.empty((len(rows), width))
    for place, row in zip(found, rows):
        place[: len(row)] = row
    return found


@functools.lru_cache
def tokens(word: str, seen: int) -> list[str]:
    return [word]


class Registry:
    """Set up on first use, as some libraries are."""

    ready = False

    @classmethod
    def start(cls) -> None:
        if not cls.ready:
            random.seed(1234)
            cls.ready = True


def collected(item: float, into: list[float] = []) -> list[float]:  # noqa: B006
    into.append(item)
    return into


def settled(values: Iterable[float]) -> float:
    total = 0.0
    for value in values:
        total = total * 0.5 + value
    return total
