"""What the fixture ``seeded`` does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pytest_repro.adapters import pinned_entropy
from pytest_repro.engine.pin import seeded_apart
from pytest_repro.plugin import PLAN, SETTINGS


@contextmanager
def seeded(request: pytest.FixtureRequest) -> Iterator[int]:
    """Every generator seeded and the system's entropy pinned, for one test.

    A marked test keeps the seed of its plan.
    """
    plan = request.node.stash.get(PLAN, None) or request.config.stash[SETTINGS].plan
    with seeded_apart(plan.seed), pinned_entropy(plan.seed):
        yield plan.seed
