"""What a session gets from the session that started it."""

from __future__ import annotations

import os

import pytest

RANK_KEY, WORLD_SIZE_KEY = "repro_rank", "repro_world_size"


def get_rank_and_size(config: pytest.Config) -> tuple[int, int]:
    """Rank of this process, and the world size; 0 and 1 if it is not a rank."""
    workerinput = getattr(config, "workerinput", {})
    return workerinput.get(RANK_KEY, 0), workerinput.get(WORLD_SIZE_KEY, 1)


def is_rank(config: pytest.Config) -> bool:
    """Whether this process is a rank."""
    return RANK_KEY in getattr(config, "workerinput", {})


def is_github() -> bool:
    """Whether GitHub Actions runs this session, or the controller of this worker."""
    return os.environ.get("GITHUB_ACTIONS") == "true"
