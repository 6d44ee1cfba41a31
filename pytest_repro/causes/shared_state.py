"""What one run leaves behind for the next: seeds, flags, the state of global generators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pytest_repro.causes import Cause, Row
from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.finding import Change, Finding

_SEEDS = (
    "torch:manual_seed",
    "torch.random:manual_seed",
    "torch.cuda:manual_seed",
    "torch.cuda:manual_seed_all",
)
_TOLD, _FRESH = 3, "; each begun in a fresh process, runs were equal"

_STATES = ("random:setstate", "numpy.random:set_state", "torch:set_rng_state", "torch.random:set_rng_state")
_FLAGS = (
    "torch:set_default_dtype", "torch:set_default_device", "torch:set_default_tensor_type",
    "torch:use_deterministic_algorithms", "torch:set_deterministic_debug_mode",
    "torch:set_float32_matmul_precision", "torch:set_flush_denormal", "torch:set_num_threads",
    "torch:set_num_interop_threads", "numpy:seterr", "locale:setlocale", "decimal:setcontext",
    "os:chdir", "os:putenv",
)  # fmt: skip


def _with_seed(seed: Any = None, *_: Any, **__: Any) -> bool:
    return seed is not None


def _reseeding(where: str, when: Any = None) -> Row:
    fix = (
        "leave seeding to pytest-repro, or draw from a generator of your own: repro.rng(), repro.generator()"
    )
    return Row(where, "seeds a generator that everybody draws from, in the midst of the test", fix, when=when)


def _flag(where: str) -> Row:
    return Row(where, "sets what holds for every test that follows", "set it back when the test ends")


class SharedState(Cause):
    """Reseeding inside the test, and flags that outlive it. Runs in fresh processes tell.

    Out of reach: what is changed without a call of these: module globals, caches, attributes of
    ``torch.backends``.
    """

    elsewhere = True
    says = "something that one run leaves behind is found by the next"
    fix = "make it anew in each test, or put it back when the test ends"
    rows: ClassVar[Sequence[Row]] = (
        *(_reseeding(where) for where in _SEEDS),
        _reseeding("numpy.random:seed", _with_seed),
        _reseeding("random:seed", _with_seed),
        *(_reseeding(where) for where in _STATES),
        *(_flag(where) for where in _FLAGS),
    )

    def suspects(self, evidence: Evidence) -> bool:
        return True

    def presses(self, evidence: Evidence) -> bool:
        return bool(evidence.changed)

    def found(self, evidence: Evidence, way: str = "", beside: str = "") -> Finding:
        changed, said = evidence.changed, self.explained(evidence.calls)
        if evidence.of(self.name) and not any(each.location for each in changed):
            return Finding(self.name, said.location, f"{said.explanation}; {_left(changed)}", said.fix)
        first = changed[0] if changed else None
        location = first.location if first else ""
        beside = f"; in the first run {said.explanation}, at {said.location}" if said.location else ""
        return Finding(self.name, location, _left(changed) + beside, _fix(first) if first else self.fix)


def _left(changed: tuple[Change, ...]) -> str:
    if not changed:
        return f"a run leaves something behind for the next, of what kind could not be seen{_FRESH}"
    told = "; ".join(f"{each.name} {each.how}" for each in changed[:_TOLD])
    more = f", and {len(changed) - _TOLD} more" if len(changed) > _TOLD else ""
    return f"a run leaves something behind for the next: {told}{more}{_FRESH}"


_ANEW = {
    "module": "build {} in the test or in a function fixture: each run is seeded before these begin",
    "optimiser": "make {} and its model in the test or in a function fixture",
    "torch generator": "draw from a generator that the test makes itself, repro.generator(), instead of {}",
    "numpy generator": "draw from a generator that the test makes itself, repro.rng(), instead of {}",
    "random.Random": "draw from a generator that the test makes itself, random.Random(0), instead of {}",
}
"""What to do about a module's global, by what it is."""


def _fix(change: Change) -> str:
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
        return _ANEW[change.kind].format(change.whole)
    if change.how.endswith("results"):
        return f"call {name}.cache_clear() before each run, in a function fixture"
    if "cache" in name.lower():
        return f"clear {name} before each run, in a function fixture"
    return f"make {name} anew in each run, in a function fixture, or restore it with monkeypatch"


cause = SharedState()
