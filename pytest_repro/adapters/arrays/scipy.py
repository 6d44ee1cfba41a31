"""scipy: sparse matrices and arrays, frozen distributions, quasi-random engines, interpolators, results.

Seeded: nothing of its own. `rvs()` draws from numpy's global generator; a `qmc` engine without `rng` from the operating system.
Restored: nothing.
Switches: none.
Read: sparse values of every format by their stored entries (`matrix.data[5]`), frozen distributions by name and arguments, engines by their state, rotations, interpolators and `OptimizeResult` by their parts.
Captured: sparse values and the arrays in the others.
Environment: version and BLAS.
Limits: the order of stored entries and the dtype of indices are layout and not compared; explicit zeros and duplicates are. Distributions of your own class are refused.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache, partial
from typing import Any

import scipy

from pytest_repro.adapters import Adapter
from pytest_repro.adapters.arrays._scipy.objects import (
    ATTRIBUTES,
    READERS,
    flatten_attributes,
    flatten_test_result,
)
from pytest_repro.adapters.arrays._scipy.sparse import flatten_sparse
from pytest_repro.core.runs.pytree import FlattenResult


@lru_cache(maxsize=512)
def _find_reader(kind: type) -> Callable[[Any], FlattenResult] | None:
    """How instances of *kind* are read; None if it is no class of scipy that is known."""
    for base in kind.__mro__:
        if not (base.__module__ or "").startswith("scipy."):
            continue
        if base.__name__ in ("_spbase", "spmatrix", "sparray"):
            return flatten_sparse
        if base.__name__ in READERS:
            return READERS[base.__name__]
        if base.__name__ in ATTRIBUTES:
            return partial(flatten_attributes, names=ATTRIBUTES[base.__name__])
        if issubclass(base, tuple) and hasattr(base, "_fields"):
            return flatten_test_result
    return None


class Scipy(Adapter):
    """Values of scipy; its submodules are not imported."""

    def flatten(self, value: Any) -> FlattenResult:
        kind: Any = type(value)
        reader = _find_reader(kind)
        return None if reader is None else reader(value)

    def environment(self) -> dict[str, str]:
        return {"scipy": scipy.__version__, "scipy blas": _read_blas()}


@cache
def _read_blas() -> str:
    try:
        config: Any = scipy.show_config(mode="dicts")
    except TypeError:  # scipy before 1.11 only prints it
        config = {}
    blas = config.get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()


adapter = Scipy()
