"""The marker's name, registered even if the plugin is switched off by ``-p no:repro``.

A marked test suite then still passes ``--strict-markers`` and ``-W error``.
"""

from __future__ import annotations

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
