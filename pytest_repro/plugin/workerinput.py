"""What a session is told by the one that started it."""

from __future__ import annotations

import pytest

RANK_KEY, WORLD_SIZE_KEY = "repro_rank", "repro_world_size"


def get_rank_and_size(config: pytest.Config) -> tuple[int, int]:
    """The rank that this process is, and of how many; 0 of 1 where it is none."""
    told = getattr(config, "workerinput", {})
    return told.get(RANK_KEY, 0), told.get(WORLD_SIZE_KEY, 1)


def is_rank(config: pytest.Config) -> bool:
    """Whether this process is a rank."""
    return RANK_KEY in getattr(config, "workerinput", {})
