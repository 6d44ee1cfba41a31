"""Reproducibility assertions: runs a test again, compares what it computed, and says what differs.

::

    item ─ marker, options ─▶ Plan ─▶ Cells ─▶ engine ─┬─ adapters: seeded ─ axes: applied ─ call()
                                                       └─ companion: the same in another interpreter
    repro.record ─▶ pytree ─▶ adapters ─▶ digest, SpillStore ─▶ Observation … ─▶ Run
    Runs ─▶ compare ─▶ Verdict ─(diverged)─▶ Experiments ─▶ Divergence, Finding
    Verdict ─▶ terminal, JSON, JUnit, GitHub; two JSONs ─▶ compare
    trace ─▶ ops ─▶ first_divergence ─▶ Divergence

From low to high: ``core`` records and pure functions · ``interpose`` calls to the operating system ·
``values`` bytes of values · ``metrics`` published measures · ``adapters`` one file per library ·
``traces`` ops of torch · ``axes`` one file per thing varied · ``companions`` other interpreters ·
``causes`` one file per cause word · ``engine`` plan × call → verdict → cause · ``reports`` verdict → text ·
``assertions`` · ``cli`` · ``plugin`` pytest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_repro import metrics
    from pytest_repro.adapters import digest, seed_all
    from pytest_repro.assertions.batch_invariance import assert_batch_invariant
    from pytest_repro.assertions.distinct_draws import assert_distinct_draws, assert_distinct_loader_draws
    from pytest_repro.assertions.draws import assert_no_draws, track_draws
    from pytest_repro.assertions.estimator_reproducible import assert_estimator_reproducible
    from pytest_repro.assertions.instability import probe_instability
    from pytest_repro.assertions.key_reuse import assert_no_key_reuse
    from pytest_repro.assertions.reproducible import assert_reproducible
    from pytest_repro.assertions.resume import assert_resumable
    from pytest_repro.core.compare.mismatch import Difference, Mismatch
    from pytest_repro.core.compare.verdict import (
        NotReproducible,
        SeedUnusedWarning,
        UnseededDrawWarning,
        Verdict,
    )
    from pytest_repro.core.runs.observation import Completion
    from pytest_repro.core.runs.run import Run
    from pytest_repro.core.trace.divergence import Divergence, first_divergence
    from pytest_repro.core.trace.trace import Trace
    from pytest_repro.engine.check.check import check
    from pytest_repro.engine.runs.current_run import shift_alignment
    from pytest_repro.engine.runs.pin import deterministic, pinned
    from pytest_repro.plugin.fixtures.repro import Repro
    from pytest_repro.traces import trace

__version__ = "0.1.0"

_MODULES = {
    "Completion": "core.runs.observation",
    "Difference": "core.compare.mismatch",
    "Divergence": "core.trace.divergence",
    "Mismatch": "core.compare.mismatch",
    "NotReproducible": "core.compare.verdict",
    "Repro": "plugin.fixtures.repro",
    "Run": "core.runs.run",
    "SeedUnusedWarning": "core.compare.verdict",
    "Trace": "core.trace.trace",
    "UnseededDrawWarning": "core.compare.verdict",
    "Verdict": "core.compare.verdict",
    "assert_batch_invariant": "assertions.batch_invariance",
    "assert_distinct_draws": "assertions.distinct_draws",
    "assert_distinct_loader_draws": "assertions.distinct_draws",
    "assert_estimator_reproducible": "assertions.estimator_reproducible",
    "assert_no_draws": "assertions.draws",
    "assert_no_key_reuse": "assertions.key_reuse",
    "assert_reproducible": "assertions.reproducible",
    "assert_resumable": "assertions.resume",
    "check": "engine.check.check",
    "deterministic": "engine.runs.pin",
    "digest": "adapters",
    "first_divergence": "core.trace.divergence",
    "pinned": "engine.runs.pin",
    "probe_instability": "assertions.instability",
    "seed_all": "adapters",
    "shift_alignment": "engine.runs.current_run",
    "trace": "traces",
    "track_draws": "assertions.draws",
}

__all__ = [
    "Completion", "Difference", "Divergence", "Mismatch", "NotReproducible", "Repro", "Run",
    "SeedUnusedWarning", "Trace", "UnseededDrawWarning", "Verdict", "assert_batch_invariant",
    "assert_distinct_draws",
    "assert_distinct_loader_draws", "assert_estimator_reproducible", "assert_no_draws", "assert_no_key_reuse",
    "assert_reproducible", "assert_resumable", "check",
    "deterministic", "digest", "first_divergence", "metrics", "pinned", "probe_instability", "seed_all",
    "shift_alignment", "trace", "track_draws",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Loads a public name on first use, so that pytest starts without any of them."""
    if name == "metrics":
        return importlib.import_module(f"{__name__}.metrics")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
