"""The marker's name, registered even if the plugin is switched off by ``-p no:repro``.

A marked test suite then still passes ``--strict-markers`` and ``-W error``.
"""

from __future__ import annotations

from typing import Any

import pytest

MARKER_NAME = "reproducible"
_HELP = (
    "reproducible(runs=2, seed=0, rtol=None, atol=None, deterministic=True, capture='auto', "
    "baseline=False, ranks=, level='bitwise', seeds=, unseeded='allow', "
    "device=, threads=, dtype=, process=, isa=, machine=, order=, memory=, alignment=, stress=): "
    "run the test again, equally seeded, and fail when what it computed differs "
    "(pytest-repro)."
)


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker, once."""
    if _HELP not in config.getini("markers"):
        config.addinivalue_line("markers", _HELP)


def is_marked(item: pytest.Item) -> bool:
    """Whether *item* has the marker, or requests the fixture, which marks it by itself."""
    # Not from item.keywords, which also has the names of folders.
    return item.get_closest_marker(MARKER_NAME) is not None or requests_repro(item)


def requests_repro(item: Any) -> bool:
    """Whether *item* requests our fixture ``repro``, not one of its own with that name."""
    if "repro" not in getattr(item, "fixturenames", ()):
        return False
    definitions = item._fixtureinfo.name2fixturedefs.get("repro")
    return definitions is None or definitions[-1].func.__module__ == "pytest_repro.plugin.fixtures"
