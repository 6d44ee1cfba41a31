"""State that one run leaves for the next: seeds, flags, global generators, module globals."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from pytest_repro.adapters import active_adapters
from pytest_repro.causes import Cause, watch_each
from pytest_repro.core.diagnose import Change, Evidence, Finding
from pytest_repro.interpose.call_log import Target
from pytest_repro.interpose.patch import Patch, make_patch, patch_everywhere
from pytest_repro.interpose.user_frames import call_origin, caller_frame, format_location, get_module_name

_MAX_LISTED = 3
_WITHOUT_CALL_NOTE = "runs without this call were equal"
_FRESH_PROCESS_NOTE = "; in fresh processes, runs were equal"

_RESEEDING = (
    "seeds a global generator during the test",
    "leave seeding to pytest-repro, or use a separate generator: repro.rng(), repro.generator()",
)
_SETTING = "changes a setting of every test that follows", "restore it when the test ends"
"""The effect and the fix of a call."""


def _passes_seed(seed: Any = None, *_: Any, **__: Any) -> bool:
    return seed is not None


class SharedState(Cause):
    """Reseeding inside the test, and settings that outlive it: runs in fresh processes show it.

    The call log misses what needs no call: module globals, caches, attributes of ``torch.backends``.
    """

    needs_fresh_process = True
    located_by_line = True
    explanation = "one run leaves state behind that changes the next"
    fix = "create it in each test, or restore it when the test ends"
    watched_functions = (
        *watch_each("torch", "manual_seed set_rng_state", *_RESEEDING),
        *watch_each("torch.random", "manual_seed set_rng_state", *_RESEEDING),
        *watch_each("torch.cuda", "manual_seed manual_seed_all", *_RESEEDING),
        *watch_each("numpy.random", "seed", *_RESEEDING, when=_passes_seed),
        *watch_each("random", "seed", *_RESEEDING, when=_passes_seed),
        *watch_each("numpy.random", "set_state", *_RESEEDING),
        *watch_each("random", "setstate", *_RESEEDING),
        *watch_each("torch", "set_default_dtype set_default_device set_default_tensor_type", *_SETTING),
        *watch_each("torch", "use_deterministic_algorithms set_deterministic_debug_mode", *_SETTING),
        *watch_each("torch", "set_float32_matmul_precision set_flush_denormal", *_SETTING),
        *watch_each("torch", "set_num_threads set_num_interop_threads", *_SETTING),
        *watch_each("numpy", "seterr", *_SETTING),
        *watch_each("locale", "setlocale", *_SETTING),
        *watch_each("decimal", "setcontext", *_SETTING),
        *watch_each("os", "chdir putenv", *_SETTING),
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
            return Finding(self.name, call.location, f"{call.explanation}; {_WITHOUT_CALL_NOTE}", call.fix)
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


_SETTINGS = ("torch ", "numpy.", "os.environ[", "the ", "sys.path", "decimal.", "logging.", "matplotlib.")
"""How the names of process-wide settings begin."""

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
        is_old = change.description in ("is gone", "has other contents")
        return "work on a copy in tmp_path" if is_old else "write to tmp_path, which is empty in each run"
    if "(default " in name:
        return "make the default argument None, and create the container in the function's body"
    if "(variable " in name:
        return f"make {name.partition('(')[0]} in each run, in a function fixture"
    if name.startswith(_SETTINGS):
        return "restore it at the end of the test: in a fixture, or with monkeypatch"
    if change.kind in _FIX_BY_KIND:  # an adapter of another distribution may name others
        return _FIX_BY_KIND[change.kind].format(change.owner)
    if change.description.endswith("results"):
        return f"call {name}.cache_clear() before each run, in a function fixture"
    if change.description == "is new" and not change.kind:
        return f"remove {name} when the test ends, or set it with monkeypatch"
    if "cache" in name.lower():
        return f"clear {name} before each run, in a function fixture"
    return f"create {name} in each run, in a function fixture, or restore it with monkeypatch"


cause = SharedState()


@contextmanager
def leave_out_calls(lines: Collection[str]) -> Iterator[None]:
    """In the block, calls from *lines* (``"/abs/file.py:12"``) that seed or set something do nothing."""
    targets = {(target.owner, target.name): target for target in cause.find_targets()} if lines else {}
    patches = [_make_idle_patch(target, lines) for target in targets.values()]
    with patch_everywhere(patches) if patches else nullcontext():
        yield


def _make_idle_patch(target: Target, lines: Collection[str]) -> Patch:
    real = getattr(target.owner, target.name)

    def skip(*args: Any, **kwargs: Any) -> Any:
        caller = get_module_name(caller_frame(sys._getframe(1)))
        origin = call_origin(sys._getframe(1)) if not caller.startswith("pytest_repro.") else None
        if origin is None or format_location(origin.frame) not in lines:
            return real(*args, **kwargs)
        if target.function.effect != _RESEEDING[0]:
            answer = _ANSWERS.get(target.function.function)
            return answer(*args) if answer is not None else None
        readable = (adapter for adapter in active_adapters().values() if adapter.has_readable_state)
        undo = [adapter.save_global_states() for adapter in readable]
        try:
            return real(*args, **kwargs)  # torch.manual_seed() returns a generator
        finally:
            for restore in undo:
                restore()

    return make_patch(target.owner, target.name, skip)


_ANSWERS: dict[str, Callable[..., Any]] = {
    "numpy:seterr": lambda *_: sys.modules["numpy"].geterr(),
    "locale:setlocale": lambda category, *_: sys.modules["locale"].setlocale(category),
}
"""What a function returns that is left out."""
