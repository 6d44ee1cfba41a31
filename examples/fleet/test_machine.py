"""Hash seed, instruction set and threads change these values."""

import numpy as np
import torch

from pytest_repro import Repro


def test_order(repro: Repro) -> None:
    """Depends on the hash seed: a set of texts has another order."""
    repro.record(order=list({"cat", "dog", "eel", "fox", "gnu", "hen"}))


def test_softmax(repro: Repro) -> None:
    """Depends on the instruction set: each has its own exp."""
    logits = torch.from_numpy(repro.rng().normal(size=(64, 64)).astype("float32"))
    repro.record(logits=logits, softmax=logits.softmax(-1))


def test_sum(repro: Repro) -> None:
    """Depends on the number of threads, each of which adds up a part."""
    numbers = torch.from_numpy(repro.rng().normal(size=1_000_000))
    repro.record(numbers=numbers, sum=numbers.sum())


def test_moments(repro: Repro) -> None:
    """Depends on both: a softmax, then long sums."""
    scores = torch.from_numpy(repro.rng().normal(size=(1000, 1000)).astype("float32"))
    weights, powers = scores.softmax(-1).double(), range(1, 9)
    repro.record(scores=scores, moments=torch.stack([(weights * scores**n).sum() for n in powers]))


def test_mean(repro: Repro) -> None:
    """Depends on nothing of these."""
    repro.record(mean=np.mean(repro.rng().normal(size=1000)))
