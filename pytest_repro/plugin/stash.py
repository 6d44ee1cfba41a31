"""What a session keeps in pytest's stashes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_repro.core.plan.plan import Plan
    from pytest_repro.plugin.config.settings import Settings
    from pytest_repro.plugin.run.item_runner import ItemRunner
    from pytest_repro.plugin.run.temporary_folders import TemporaryFolders

SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
STARTED: pytest.StashKey[float] = pytest.StashKey()
"""When the session started, in seconds since 1970."""
PLAN: pytest.StashKey[Plan] = pytest.StashKey()
RUNNER: pytest.StashKey[ItemRunner] = pytest.StashKey()
FOLDERS: pytest.StashKey[TemporaryFolders] = pytest.StashKey()
GITHUB: pytest.StashKey[bool] = pytest.StashKey()
"""Whether GitHub Actions runs the session; a test may change the environment."""
ROWS: pytest.StashKey[dict[str, dict[str, Any]]] = pytest.StashKey()
"""Rows of the JSON report, by worker and test."""
STALE_TESTS: pytest.StashKey[dict[str, list[str]]] = pytest.StashKey()
"""Golden file → node ids of its tests that no longer exist."""
GOLDEN_LINES: pytest.StashKey[list[str]] = pytest.StashKey()
"""Lines on golden files in the session's summary."""
ENVIRONMENT: pytest.StashKey[dict[str, str]] = pytest.StashKey()
"""Environment of the workers of pytest-xdist."""
