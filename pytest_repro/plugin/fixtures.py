"""What the fixture ``seeded`` does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pytest_repro.adapters import pinned_entropy
from pytest_repro.engine.pin import seeded_apart
from pytest_repro.plugin import SETTINGS
from pytest_repro.plugin.act import ACT


@contextmanager
def seeded(request: pytest.FixtureRequest) -> Iterator[int]:
    """Every generator seeded and the system's entropy pinned, for one test.

    A marked test keeps the seed of its run.
    """
    run = request.node.stash.get(ACT, None) or request.config.stash[SETTINGS].plan
    with seeded_apart(run.seed), pinned_entropy(run.seed):
        yield run.seed
