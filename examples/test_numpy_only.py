"""k-means without torch: equal centres, and a sum that is close."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from pytest_repro import Repro

Points = NDArray[np.float64]


def k_means(points: Points, k: int, rng: np.random.Generator, steps: int = 10) -> Iterator[Points]:
    centres = points[rng.choice(len(points), k, replace=False)]
    for _ in range(steps):
        nearest = np.linalg.norm(points[:, None] - centres, axis=2).argmin(1)
        centres = np.array([points[nearest == i].mean(0) for i in range(k)])
        yield centres


@pytest.mark.reproducible
def test_centres_are_equal(repro: Repro) -> None:
    rng = repro.rng()  # a new numpy.random.Generator with the test's seed
    points = rng.normal(size=(500, 2)) + rng.integers(0, 5, size=(500, 1))
    for centres in k_means(points, 4, rng):
        repro.record(centres=centres)


@pytest.mark.reproducible(rtol=1e-12, atol=0.0)
def test_a_sum_in_any_order_is_close(repro: Repro) -> None:
    terms = np.random.rand(10_000)
    np.random.default_rng().shuffle(terms)  # another order in each run
    repro.record(total=terms.sum())
