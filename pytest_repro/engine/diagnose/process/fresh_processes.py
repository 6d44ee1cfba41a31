"""Fresh processes: their interpreters, and what experiments in them have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pytest_repro.axes import Interpreter
from pytest_repro.axes.process import choose_hash_seed
from pytest_repro.core.diagnose import ExperimentResult, Finding
from pytest_repro.core.trace.divergence import Divergence, first_divergence
from pytest_repro.engine.diagnose import ExperimentFailed, OutOfTime
from pytest_repro.engine.diagnose.findings import build_unknown_finding
from pytest_repro.engine.experiments.run_experiment import digest_run
from pytest_repro.engine.runs.trial import RunResult


def _make_interpreter(hash_seed: str, number: int = 1, **fields: Any) -> Interpreter:
    name = f"hash seed {hash_seed}, interpreter {number}"
    return Interpreter(environ={"PYTHONHASHSEED": hash_seed}, name=name, **fields)


HASH_SEED = "1"
"""Of the interpreters that differ in the addresses of their objects alone."""

IMPORTS = Interpreter(
    environ={"PYTHONHASHSEED": HASH_SEED},
    name=f"hash seed {HASH_SEED}, libraries imported",
    imports_per_run=True,
    imports_libraries=True,
)
"""Each run is in a fork that imports the program: in one experiment, equal addresses and hash seeds."""

FIRST = _make_interpreter(HASH_SEED, imports_libraries=True, forked_from=IMPORTS)
SECOND, THIRD = (
    _make_interpreter(HASH_SEED, number, imports_libraries=True, layout=number) for number in (2, 3)
)
"""All import the libraries first, as :data:`FIRST` does, but their libraries are at other addresses."""

FOURTH = _make_interpreter(HASH_SEED, 4)
"""It imports what the program imports, as the interpreter of an axis does."""

OTHER_SEED, *MORE_SEEDS = (_make_interpreter(seed, imports_libraries=True) for seed in "2345")


_UNKNOWN = (
    "fresh processes with the same hash seed differ, and the addresses of their objects could not be held to "
    "see whether these matter: either an order depends on addresses (a set of functions, classes, modules or "
    "other objects), or the result on the process itself (its environment, its parent, its start time)"
)
_UNKNOWN_FIX = (
    "sort what comes out of sets by a name or a number; look for os.getppid(), os.environ, host names and "
    "temporary names in what the test computes"
)


def digest_by_hash_seed(runs: Iterable[RunResult]) -> dict[str, str]:
    """Hash seed → digest of that of *runs* that an interpreter with it made for the axis ``process``."""
    others = [each for each in runs if (each[0].axis, each[0].repeat_of) == ("process", None)]
    return {choose_hash_seed(run.value): digest_run(run, recording) for run, recording in others}


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
