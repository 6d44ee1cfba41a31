"""What a session keeps in pytest's stashes, and on reports."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_repro.companions.launched_ranks import LaunchedRanks
    from pytest_repro.core.plan.plan import Plan
    from pytest_repro.plugin.config.settings import Settings
    from pytest_repro.plugin.run.item_runner import ItemRunner
    from pytest_repro.plugin.run.temporary_folders import TemporaryFolders
    from pytest_repro.plugin.run.tracing import Tracer


class Collected:
    """What a session has collected, before others select some of the tests.

    Attributes:
        tests: Node ids by file.
        modules: Modules that were collected.
        partial_modules: Those that were not, or of which some tests were deselected.
    """

    def __init__(self) -> None:
        self.tests: dict[Path, set[str]] = defaultdict(set)
        self.modules: set[str] = set()
        self.partial_modules: set[str] = set()

    def list_complete_modules(self, config: pytest.Config) -> dict[Path, str]:
        """The modules that were collected completely: path → name."""
        return {config.rootpath / name: name for name in self.modules - self.partial_modules if name}


REPORT_ATTRIBUTE = "repro"
"""Attribute of a report that holds the test's row of the JSON report."""

GOLDEN_FOLDER = "__repro__"
"""Name of the folder of golden files, beside the modules."""

COLLECTED: pytest.StashKey[Collected] = pytest.StashKey()
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
LAUNCHED: pytest.StashKey[tuple[int, int]] = pytest.StashKey()
"""Rank and world size of this process, if torchrun started it."""
TRACER: pytest.StashKey[Tracer] = pytest.StashKey()
"""Keeps the traces of a test's runs in a rank."""
LAUNCHED_RANKS: pytest.StashKey[LaunchedRanks] = pytest.StashKey()
"""The ranks that torchrun started, once they are connected."""
