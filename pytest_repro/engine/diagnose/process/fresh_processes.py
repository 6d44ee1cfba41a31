"""Fresh processes: their interpreters, and what experiments in them have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from pytest_repro.axes import Interpreter
from pytest_repro.core.diagnose import ExperimentResult, Finding
from pytest_repro.core.trace.divergence import Divergence, first_divergence
from pytest_repro.engine.diagnose import ExperimentFailed, OutOfTime
from pytest_repro.engine.diagnose.findings import build_unknown_finding


def _make_interpreter(hash_seed: str, number: int = 1) -> Interpreter:
    name = f"hash seed {hash_seed}, interpreter {number}"
    return Interpreter(environ={"PYTHONHASHSEED": hash_seed}, name=name)


FIRST, SECOND, OTHER_SEED = _make_interpreter("1"), _make_interpreter("1", 2), _make_interpreter("2")
MORE_LAYOUTS = [_make_interpreter("1", number) for number in (3, 4)]
MORE_SEEDS = [_make_interpreter(seed) for seed in "345"]


_UNKNOWN = (
    "fresh processes with the same hash seed differ, and the addresses of their objects could not be held to "
    "see whether these matter: either an order depends on addresses (a set of functions, classes, modules or "
    "other objects), or the result on the process itself (its environment, its parent, its start time)"
)
_UNKNOWN_FIX = (
    "sort what comes out of sets by a name or a number; look for os.getppid(), os.environ, host names and "
    "temporary names in what the test computes"
)


def build_unheld_finding() -> Finding:
    """That fresh processes differ, whose addresses could not be held."""
    return replace(build_unknown_finding(_UNKNOWN), fix=_UNKNOWN_FIX)


def compare_ops(a: ExperimentResult, b: ExperimentResult) -> Divergence | None:
    """The first op at which two traced runs diverge."""
    return first_divergence(a.traces[0], b.traces[0]) if a.traces and b.traces else None


@contextmanager
def allow_failure() -> Iterator[None]:
    """Experiments of the block may be impossible for this program; too little time is no answer, though."""
    try:
        yield
    except OutOfTime:
        raise
    except ExperimentFailed:
        pass
