"""Reproducibility assertions: run a test again, compare what it computed, say what differs.

The way of the data, which is also the order of the rooms::

    item ─ marker, options ─▶ Plan ─▶ Cells ─▶ engine ─┬─ adapter: seeded, switched ─ axis: applied ─ call()
                                                       └─ companion: the same in another interpreter
    repro.record ─▶ walk ─▶ adapter.opened ─▶ digest, shelf ─▶ Observation … ─▶ Run
    Runs ─▶ compare ─▶ Verdict ─(diverged)─▶ Experiments ─▶ Divergence, Finding
    Verdict ─▶ terminal, JSON, JUnit, GitHub; two JSONs ─▶ compare
    trace ─▶ ops ─▶ first_divergence ─▶ Divergence

``core`` nouns and pure functions · ``ledger`` calls of the world outside · ``values`` the bytes of
values · ``metrics`` the measures of the literature · ``adapters`` one file per library · ``traces``
what each op computed · ``axes`` one file per thing varied · ``companions`` other interpreters ·
``causes`` one file per cause word · ``engine`` plan × call → verdict → cause · ``reports`` verdict →
text · ``cli`` the command · ``plugin`` pytest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pytest_repro._version import __version__ as __version__

if TYPE_CHECKING:
    from pytest_repro import metrics as metrics
    from pytest_repro.adapters import digest as digest
    from pytest_repro.adapters import seed_all as seed_all
    from pytest_repro.assertions.batch_invariance import assert_batch_invariant as assert_batch_invariant
    from pytest_repro.assertions.dataloader import check_loader as check_loader
    from pytest_repro.assertions.draws import draws as draws
    from pytest_repro.assertions.draws import no_draws as no_draws
    from pytest_repro.assertions.resume import assert_resumable as assert_resumable
    from pytest_repro.core.compare.unused import SeedUnusedWarning as SeedUnusedWarning
    from pytest_repro.core.compare.verdict import NotReproducible as NotReproducible
    from pytest_repro.core.compare.verdict import Verdict as Verdict
    from pytest_repro.core.runs.token_sequence import Completion as Completion
    from pytest_repro.core.trace.divergence import Divergence as Divergence
    from pytest_repro.core.trace.divergence import first_divergence as first_divergence
    from pytest_repro.core.trace.trace import Trace as Trace
    from pytest_repro.engine.check.check import assert_reproducible as assert_reproducible
    from pytest_repro.engine.check.check import check as check
    from pytest_repro.engine.runs.pin import deterministic as deterministic
    from pytest_repro.engine.runs.pin import pinned as pinned
    from pytest_repro.plugin.fixtures.repro import Repro as Repro
    from pytest_repro.traces import trace as trace


_WHERE = {
    "Completion": "core.runs.token_sequence",
    "Divergence": "core.trace.divergence",
    "NotReproducible": "core.compare.verdict",
    "Repro": "plugin.fixtures.repro",
    "SeedUnusedWarning": "core.compare.unused",
    "Trace": "core.trace.trace",
    "Verdict": "core.compare.verdict",
    "assert_batch_invariant": "assertions.batch_invariance",
    "assert_reproducible": "engine.check.check",
    "assert_resumable": "assertions.resume",
    "check": "engine.check.check",
    "check_loader": "assertions.dataloader",
    "deterministic": "engine.runs.pin",
    "digest": "adapters",
    "draws": "assertions.draws",
    "first_divergence": "core.trace.divergence",
    "no_draws": "assertions.draws",
    "pinned": "engine.runs.pin",
    "seed_all": "adapters",
    "trace": "traces",
}

__all__ = [
    "Completion", "Divergence", "NotReproducible", "Repro", "SeedUnusedWarning", "Trace", "Verdict",
    "assert_batch_invariant", "assert_reproducible", "assert_resumable", "check", "check_loader",
    "deterministic", "digest", "draws", "first_divergence", "metrics", "no_draws", "pinned", "seed_all",
    "trace",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first asked for: pytest starts without any of them."""
    if name == "metrics":  # the module itself
        return importlib.import_module(f"{__name__}.metrics")
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
