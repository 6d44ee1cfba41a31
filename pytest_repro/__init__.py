"""Reproducibility assertions: run a test again, compare what it computed, say what differs.

The way of the data, which is also the order of the rooms::

    item ─ marker, options ─▶ Plan ─▶ Cells ─▶ engine ─┬─ adapter: seeded, switched ─ axis: applied ─ call()
                                                       └─ companion: the same in another interpreter
    repro.record ─▶ walk ─▶ adapter.opened ─▶ digest, shelf ─▶ Observation … ─▶ Run
    Runs ─▶ compare ─▶ Verdict ─▶ terminal, JSON, JUnit

``core`` nouns and pure functions · ``ledger`` calls of the world outside · ``values`` the bytes of
values · ``adapters`` one file per library · ``axes`` one file per thing varied · ``companions``
other interpreters · ``causes`` one file per thing that makes runs differ · ``engine`` plan × call →
verdict · ``reports`` verdict → text · ``plugin`` pytest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_repro.adapters import digest as digest
    from pytest_repro.adapters import seed_all as seed_all
    from pytest_repro.core.verdict import NotReproducible as NotReproducible
    from pytest_repro.core.verdict import Verdict as Verdict
    from pytest_repro.engine.batch import assert_batch_invariant as assert_batch_invariant
    from pytest_repro.engine.check import assert_reproducible as assert_reproducible
    from pytest_repro.engine.check import check as check
    from pytest_repro.engine.pin import deterministic as deterministic
    from pytest_repro.engine.pin import pinned as pinned

__version__ = "0.1.0"

_WHERE = {
    "NotReproducible": "core.verdict",
    "Verdict": "core.verdict",
    "assert_batch_invariant": "engine.batch",
    "assert_reproducible": "engine.check",
    "check": "engine.check",
    "deterministic": "engine.pin",
    "digest": "adapters",
    "pinned": "engine.pin",
    "seed_all": "adapters",
}

__all__ = [
    "NotReproducible", "Verdict", "assert_batch_invariant", "assert_reproducible", "check",
    "deterministic", "digest", "pinned", "seed_all",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first asked for: pytest starts without any of them."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
