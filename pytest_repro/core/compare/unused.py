"""The warning that a test gives the same whatever its seed is."""

from __future__ import annotations


class SeedUnusedWarning(UserWarning):
    """A test gave the same with another seed: what it computes may come from a cache.

    Where nothing is meant to be random, the test says so:
    ``@pytest.mark.filterwarnings("ignore::pytest_repro.SeedUnusedWarning")``.
    """
