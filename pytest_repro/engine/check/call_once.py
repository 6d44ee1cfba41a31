"""One call of a function as a run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from pytest_repro.core.diagnose.experiment import Experiment, ExperimentResult
from pytest_repro.core.diagnose.finding import StateRoot
from pytest_repro.core.plan.cell import Cell
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Outcome, Run
from pytest_repro.engine.experiments.process_state import BodyStartCallback
from pytest_repro.engine.experiments.run_experiment import run_experiment
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.engine.runs.trial import Trial, make_run

MAX_ATTEMPTS = 4
"""Calls of which all but the last may be repeated because a library was first imported in them."""


def call_once(
    trial: Trial, pin: Pin, cell: Cell, fn: Callable[..., Any], args: Any, suspended: tuple[str, ...] = ()
) -> tuple[Run, Recording, BaseException | None]:
    """Calls *fn* under *cell*; what it returns is recorded as ``result``.

    Args:
        trial: Of the runs.
        pin: Holds generators and switches.
        cell: Under what it is called.
        fn: What is called.
        args: With which arguments.
        suspended: Suspects that cannot act meanwhile, by name.

    Raises:
        TypeError: Something that it returned cannot be compared.
    """
    pin.prepare_run(cell, suspended)
    pin.seed()
    recording, error, start = trial.new_recording(cell), None, perf_counter()
    result = None
    try:
        result = fn(*shift_arrays(args, cell.setting))
    except Exception as raised:
        error = raised
    if result is not None:
        recording.record("result", result)
    seconds = perf_counter() - start
    outcome: Outcome = "passed" if error is None else "failed"
    return make_run(cell, outcome, seconds, recording, error, pin.axis_generators_used), recording, error


def shift_arrays(args: tuple[Any, ...], setting: Mapping[str, Any]) -> tuple[Any, ...]:
    """*args*, where ``alignment`` is varied with the tensors and arrays in them moved."""
    if "alignment" not in setting:
        return args
    from pytest_repro.axes.alignment import copy_at_offset

    return tuple(
        _map_arrays(each, lambda array: copy_at_offset(array, setting["alignment"])) for each in args
    )


def has_arrays(args: tuple[Any, ...]) -> bool:
    """Whether there is a tensor or an array in *args*, to be moved."""
    found: list[Any] = []
    _map_arrays(args, lambda array: found.append(array))
    return bool(found)


def _map_arrays(value: Any, transform: Callable[[Any], Any]) -> Any:
    """*value* with each tensor and array changed, in lists, tuples and dicts as well."""
    if isinstance(value, _list_array_types()):
        return transform(value)
    if type(value) in (list, tuple):
        return type(value)(_map_arrays(each, transform) for each in value)
    if type(value) is dict:
        return {key: _map_arrays(each, transform) for key, each in value.items()}
    return value


def _list_array_types() -> tuple[Any, ...]:
    return tuple(getattr(sys.modules.get(m), k, ()) for m, k in (("torch", "Tensor"), ("numpy", "ndarray")))


def run_in_process(plan: Plan, fn: Callable[..., Any], args: Any, experiment: Experiment) -> ExperimentResult:
    """An experiment on ``fn(*args)``, in this process."""
    trial = Trial(plan)
    try:
        with Pin(plan.seed, plan.deterministic) as pin:
            return run_experiment(_CallRunSource(trial, pin, fn, args, experiment.suspended), experiment)
    finally:
        trial.close()


class _CallRunSource:
    """Calls a function once more for an experiment."""

    def __init__(
        self, trial: Trial, pin: Pin, fn: Callable[..., Any], args: Any, suspended: tuple[str, ...]
    ) -> None:
        self.trial, self._pin = trial, pin
        self._call, self._suspended = (fn, args), suspended

    def run_once(self, cell: Cell, number: int, on_body_start: BodyStartCallback) -> tuple[Run, Recording]:
        fn, args = self._call

        def start_and_call(*args: Any) -> Any:
            on_body_start()
            return fn(*args)

        for _ in range(MAX_ATTEMPTS):
            run, recording, _error = call_once(
                self.trial, self._pin, cell, start_and_call, args, self._suspended
            )
            if self._pin.all_libraries_seeded:
                break
        return run, recording

    def find_roots(self) -> dict[str, StateRoot]:
        """The arguments, and what the function closes over."""
        fn, args = self._call
        found = {f"argument {number + 1}": StateRoot(value) for number, value in enumerate(args)}
        names = getattr(getattr(fn, "__code__", None), "co_freevars", ())
        for name, cell in zip(names, getattr(fn, "__closure__", None) or ()):
            found[f"variable {name}"] = StateRoot(cell.cell_contents)
        return found
