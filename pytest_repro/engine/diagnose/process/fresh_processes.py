"""Fresh processes: their interpreters, and what experiments in them have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pytest_repro.axes import Interpreter
from pytest_repro.core.diagnose import ExperimentResult
from pytest_repro.core.trace.divergence import Divergence, first_divergence
from pytest_repro.engine.diagnose import ExperimentFailed, OutOfTime


def _make_interpreter(hash_seed: str, number: int = 1) -> Interpreter:
    name = f"hash seed {hash_seed}, interpreter {number}"
    return Interpreter(environ={"PYTHONHASHSEED": hash_seed}, name=name)


FIRST, SECOND, OTHER_SEED = _make_interpreter("1"), _make_interpreter("1", 2), _make_interpreter("2")
MORE_SEEDS = [_make_interpreter(seed) for seed in "345"]


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
