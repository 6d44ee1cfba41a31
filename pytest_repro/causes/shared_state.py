"""State that one run leaves for the next: seeds, flags, global generators, module globals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pytest_repro.causes import Cause, WatchedFunction
from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.finding import Change, Finding

_SEED_FUNCTIONS = (
    "torch:manual_seed",
    "torch.random:manual_seed",
    "torch.cuda:manual_seed",
    "torch.cuda:manual_seed_all",
)
_MAX_LISTED = 3
_FRESH_PROCESS_NOTE = "; in fresh processes, runs were equal"

_STATE_FUNCTIONS = (
    "random:setstate",
    "numpy.random:set_state",
    "torch:set_rng_state",
    "torch.random:set_rng_state",
)
_FLAG_FUNCTIONS = (
    "torch:set_default_dtype", "torch:set_default_device", "torch:set_default_tensor_type",
    "torch:use_deterministic_algorithms", "torch:set_deterministic_debug_mode",
    "torch:set_float32_matmul_precision", "torch:set_flush_denormal", "torch:set_num_threads",
    "torch:set_num_interop_threads", "numpy:seterr", "locale:setlocale", "decimal:setcontext",
    "os:chdir", "os:putenv",
)  # fmt: skip


def _passes_seed(seed: Any = None, *_: Any, **__: Any) -> bool:
    return seed is not None


def _watch_reseeding(function: str, when: Any = None) -> WatchedFunction:
    fix = "leave seeding to pytest-repro, or use a separate generator: repro.rng(), repro.generator()"
    return WatchedFunction(function, "seeds a global generator during the test", fix, when=when)


def _watch_flag(function: str) -> WatchedFunction:
    return WatchedFunction(
        function, "changes a setting of every test that follows", "restore it when the test ends"
    )


class SharedState(Cause):
    """Reseeding inside the test, and settings that outlive it: runs in fresh processes show it.

    The call log misses what needs no call: module globals, caches, attributes of ``torch.backends``.
    """

    needs_fresh_process = True
    located_by_line = True
    explanation = "one run leaves state behind that changes the next"
    fix = "create it in each test, or restore it when the test ends"
    watched_functions: ClassVar[Sequence[WatchedFunction]] = (
        *(_watch_reseeding(where) for where in _SEED_FUNCTIONS),
        _watch_reseeding("numpy.random:seed", _passes_seed),
        _watch_reseeding("random:seed", _passes_seed),
        *(_watch_reseeding(where) for where in _STATE_FUNCTIONS),
        *(_watch_flag(where) for where in _FLAG_FUNCTIONS),
    )

    def is_candidate(self, evidence: Evidence) -> bool:
        return True

    def has_evidence(self, evidence: Evidence) -> bool:
        return bool(evidence.changes)

    def rank(self, evidence: Evidence) -> int:
        return 1 if self.has_evidence(evidence) else 2

    def build_finding(self, evidence: Evidence, variant: str = "", detail: str = "") -> Finding:
        changes, call = evidence.changes, self.explain(evidence.calls)
        description = _describe_changes(changes)
        if evidence.calls_for(self.name) and not any(change.location for change in changes):
            return Finding(self.name, call.location, f"{call.explanation}; {description}", call.fix)
        if call.location:
            description += f"; in the first run {call.explanation}, at {call.location}"
        if not changes:
            return Finding(self.name, "", description, self.fix)
        return Finding(self.name, changes[0].location, description, _suggest_fix(changes[0]))


def _describe_changes(changes: tuple[Change, ...]) -> str:
    if not changes:
        return f"a run leaves state of an unknown kind for the next{_FRESH_PROCESS_NOTE}"
    listed = "; ".join(f"{change.name} {change.description}" for change in changes[:_MAX_LISTED])
    more = f", and {len(changes) - _MAX_LISTED} more" if len(changes) > _MAX_LISTED else ""
    return f"a run leaves state for the next: {listed}{more}{_FRESH_PROCESS_NOTE}"


_FIX_BY_KIND = {
    "module": "build {} in the test or in a function fixture: each run is seeded before these start",
    "optimiser": "build {} and its model in the test or in a function fixture",
    "torch generator": "draw from a generator that the test makes, repro.generator(), instead of {}",
    "numpy generator": "draw from a generator that the test makes, repro.rng(), instead of {}",
    "random.Random": "draw from a generator that the test makes, random.Random(0), instead of {}",
}
"""Kind of a module global → what to do about it."""


def _suggest_fix(change: Change) -> str:
    name = change.name
    if name.startswith("fixture "):
        return f"give {name.split('[')[0].split('.')[0]} scope='function', or copy what the test changes"
    if name.startswith("parameter "):
        return "copy the parameter before changing it: all runs share one object"
    if name.startswith("file "):
        return "write to tmp_path, which is empty in each run"
    if "(default " in name:
        return "make the default argument None, and create the container in the function's body"
    if name.startswith(("torch ", "numpy", "os.environ", "the working")):
        return "restore it at the end of the test: in a fixture, or with monkeypatch"
    if change.kind:
        return _FIX_BY_KIND[change.kind].format(change.owner)
    if change.description.endswith("results"):
        return f"call {name}.cache_clear() before each run, in a function fixture"
    if "cache" in name.lower():
        return f"clear {name} before each run, in a function fixture"
    return f"create {name} in each run, in a function fixture, or restore it with monkeypatch"


cause = SharedState()
