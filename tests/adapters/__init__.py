"""With the libraries themselves; a module skips where its library is not installed."""

from __future__ import annotations

import pytest

IGNORE_TORCH_STAGES = pytest.mark.filterwarnings(
    "ignore:ComplexHalf support is experimental",
    "ignore:.*beta state",
    "ignore:.*prototype stage",
    "ignore:Sparse invariant checks",
)
"""torch warns of dtypes and layouts that it calls experimental."""
