"""What a session keeps in pytest's stashes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_repro.core.plan.plan import Plan
from pytest_repro.plugin.config.settings import Settings

if TYPE_CHECKING:
    pass

SETTINGS = pytest.StashKey[Settings]()
PLAN = pytest.StashKey[Plan]()
RUNNER = pytest.StashKey["ItemRunner"]()
ROWS = pytest.StashKey[dict[str, dict[str, Any]]]()
"""Rows of the JSON report, by worker and test."""
STALE_TESTS = pytest.StashKey[dict[str, list[str]]]()
"""Golden file → node ids of its tests that no longer exist."""
GOLDEN_LINES = pytest.StashKey[list[str]]()
"""Lines on golden files in the session's summary."""
ENVIRONMENT = pytest.StashKey[dict[str, str]]()
"""Environment of the workers of pytest-xdist."""
