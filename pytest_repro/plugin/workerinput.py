"""What a session gets from the session that started it."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from pytest_repro.plugin.stash import LAUNCHED

RANK_KEY, WORLD_SIZE_KEY = "repro_rank", "repro_world_size"

FIXED_KEY = "repro_fixed"
"""The axes at whose only value a companion runs."""


def get_fixed_axes(config: pytest.Config) -> Sequence[str]:
    """The axes at whose only value this process runs; none if it is no companion for such a value."""
    return tuple(getattr(config, "workerinput", {}).get(FIXED_KEY, ()))


def get_rank_and_size(config: pytest.Config) -> tuple[int, int]:
    """Rank of this process, and the world size; 0 and 1 if it is not a rank."""
    if LAUNCHED in config.stash:
        return config.stash[LAUNCHED]
    workerinput = getattr(config, "workerinput", {})
    return workerinput.get(RANK_KEY, 0), workerinput.get(WORLD_SIZE_KEY, 1)


def find_launched(config: pytest.Config) -> tuple[int, int] | None:
    """Rank and world size of this process if torchrun started it; None for what this package starts."""
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID")
    if hasattr(config, "workerinput") or not all(map(os.environ.get, names)):
        return None
    rank, size = os.environ["RANK"], os.environ["WORLD_SIZE"]
    return (int(rank), int(size)) if rank.isdigit() and size.isdigit() else None


def is_reporting(config: pytest.Config) -> bool:
    """Whether this process reports: under torchrun only rank 0, of workers only their controller."""
    return not hasattr(config, "workerinput") and get_rank_and_size(config)[0] == 0


def is_rank(config: pytest.Config) -> bool:
    """Whether this process is a rank."""
    return RANK_KEY in getattr(config, "workerinput", {})


def is_github() -> bool:
    """Whether GitHub Actions runs this session, or the controller of this worker."""
    return os.environ.get("GITHUB_ACTIONS") == "true"
