"""numpy alone: a k-means whose centres must come out the same, and a sum that may differ a little."""

import numpy as np
import pytest


def k_means(points, k, rng, steps=10):
    centres = points[rng.choice(len(points), k, replace=False)]
    for _ in range(steps):
        nearest = np.linalg.norm(points[:, None] - centres, axis=2).argmin(1)
        centres = np.array([points[nearest == i].mean(0) for i in range(k)])
        yield centres


@pytest.mark.reproducible
def test_centres_are_the_same(repro):
    rng = repro.rng()  # a fresh numpy.random.Generator with the test's seed
    points = rng.normal(size=(500, 2)) + rng.integers(0, 5, size=(500, 1))
    for centres in k_means(points, 4, rng):
        repro.record(centres=centres)


@pytest.mark.reproducible(rtol=1e-12, atol=0.0)
def test_order_of_a_sum_is_forgiven(repro):
    terms = np.random.rand(10_000)
    np.random.default_rng().shuffle(terms)  # another order in each run
    repro.record(total=terms.sum())
