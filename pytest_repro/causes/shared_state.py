"""What one run leaves behind for the next: seeds, flags, the state of global generators."""

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
_MAX_LISTED, _FRESH_PROCESS_NOTE = 3, "; each begun in a fresh process, runs were equal"

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
    fix = (
        "leave seeding to pytest-repro, or draw from a generator of your own: repro.rng(), repro.generator()"
    )
    return WatchedFunction(
        function, "seeds a generator that everybody draws from, in the midst of the test", fix, when=when
    )


def _watch_flag(function: str) -> WatchedFunction:
    return WatchedFunction(
        function, "sets what holds for every test that follows", "set it back when the test ends"
    )


class SharedState(Cause):
    """Reseeding inside the test, and flags that outlive it. Runs in fresh processes tell.

    Out of reach: what is changed without a call of these: module globals, caches, attributes of
    ``torch.backends``.
    """

    needs_fresh_process = True
    explanation = "something that one run leaves behind is found by the next"
    fix = "make it anew in each test, or put it back when the test ends"
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

    def build_finding(self, evidence: Evidence, variant: str = "", detail: str = "") -> Finding:
        changed, said = evidence.changes, self.explain(evidence.calls)
        if evidence.calls_for(self.name) and not any(each.location for each in changed):
            return Finding(
                self.name, said.location, f"{said.explanation}; {_describe_changes(changed)}", said.fix
            )
        first = changed[0] if changed else None
        location = first.location if first else ""
        detail = f"; in the first run {said.explanation}, at {said.location}" if said.location else ""
        return Finding(
            self.name,
            location,
            _describe_changes(changed) + detail,
            _suggest_fix(first) if first else self.fix,
        )


def _describe_changes(changes: tuple[Change, ...]) -> str:
    if not changes:
        return (
            f"a run leaves something behind for the next, of what kind could not be seen{_FRESH_PROCESS_NOTE}"
        )
    told = "; ".join(f"{each.name} {each.description}" for each in changes[:_MAX_LISTED])
    more = f", and {len(changes) - _MAX_LISTED} more" if len(changes) > _MAX_LISTED else ""
    return f"a run leaves something behind for the next: {told}{more}{_FRESH_PROCESS_NOTE}"


_FIX_BY_KIND = {
    "module": "build {} in the test or in a function fixture: each run is seeded before these begin",
    "optimiser": "make {} and its model in the test or in a function fixture",
    "torch generator": "draw from a generator that the test makes itself, repro.generator(), instead of {}",
    "numpy generator": "draw from a generator that the test makes itself, repro.rng(), instead of {}",
    "random.Random": "draw from a generator that the test makes itself, random.Random(0), instead of {}",
}
"""What to do about a module's global, by what it is."""


def _suggest_fix(change: Change) -> str:
    name = change.name
    if name.startswith("fixture "):
        return f"give {name.split('[')[0].split('.')[0]} scope='function', or copy what the test changes"
    if name.startswith("parameter "):
        return "copy the parameter before it is changed: it is one object for all runs"
    if name.startswith("file "):
        return "write to tmp_path, which is empty in each run"
    if "(default " in name:
        return "make the default argument None, and the container in the function's body"
    if name.startswith(("torch ", "numpy", "os.environ", "the working")):
        return "put it back at the end of the test: in a fixture, or with monkeypatch"
    if change.kind:
        return _FIX_BY_KIND[change.kind].format(change.owner)
    if change.description.endswith("results"):
        return f"call {name}.cache_clear() before each run, in a function fixture"
    if "cache" in name.lower():
        return f"clear {name} before each run, in a function fixture"
    return f"make {name} anew in each run, in a function fixture, or restore it with monkeypatch"


cause = SharedState()
