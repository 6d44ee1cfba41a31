"""One call of a function as a run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from pytest_repro.core.diagnose.experiment import Experiment, Tried
from pytest_repro.core.diagnose.finding import Root
from pytest_repro.core.plan.cell import Cell
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Outcome, Run
from pytest_repro.engine.experiments.process_state import Entered
from pytest_repro.engine.experiments.run_experiment import perform
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.engine.runs.trial import Trial, as_run

SPARE = 4
"""Calls of which all but the last may be repeated because a library was first imported in them."""


def once(
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
    pin.vary(cell, suspended)
    pin.seed()
    recording, error, start = trial.recording(cell), None, perf_counter()
    result = None
    try:
        result = fn(*placed(args, cell.setting))
    except Exception as raised:
        error = raised
    if result is not None:
        recording.record("result", result)
    seconds = perf_counter() - start
    outcome: Outcome = "passed" if error is None else "failed"
    return as_run(cell, outcome, seconds, recording, error, pin.drew), recording, error


def placed(args: tuple[Any, ...], setting: Mapping[str, Any]) -> tuple[Any, ...]:
    """*args*, where ``alignment`` is varied with the tensors and arrays in them moved."""
    if "alignment" not in setting:
        return args
    from pytest_repro.axes.alignment import shifted

    return tuple(_each_array(each, lambda array: shifted(array, setting["alignment"])) for each in args)


def places_any(args: tuple[Any, ...]) -> bool:
    """Whether there is a tensor or an array in *args*, to be moved."""
    found: list[Any] = []
    _each_array(args, lambda array: found.append(array))
    return bool(found)


def _each_array(value: Any, change: Callable[[Any], Any]) -> Any:
    """*value* with each tensor and array changed, in lists, tuples and dicts as well."""
    if isinstance(value, _arrays()):
        return change(value)
    if type(value) in (list, tuple):
        return type(value)(_each_array(each, change) for each in value)
    if type(value) is dict:
        return {key: _each_array(each, change) for key, each in value.items()}
    return value


def _arrays() -> tuple[Any, ...]:
    return tuple(getattr(sys.modules.get(m), k, ()) for m, k in (("torch", "Tensor"), ("numpy", "ndarray")))


def tried_here(plan: Plan, fn: Callable[..., Any], args: Any, asked: Experiment) -> Tried:
    """An experiment on ``fn(*args)``, in this process."""
    trial = Trial(plan)
    try:
        with Pin(plan.seed, plan.deterministic) as pin:
            return perform(_Stage(trial, pin, fn, args, asked.suspended), asked)
    finally:
        trial.close()


class _Stage:
    """Calls a function once more for an experiment."""

    def __init__(
        self, trial: Trial, pin: Pin, fn: Callable[..., Any], args: Any, suspended: tuple[str, ...]
    ) -> None:
        self.trial, self._pin = trial, pin
        self._called, self._suspended = (fn, args), suspended

    def once(self, cell: Cell, number: int, entered: Entered) -> tuple[Run, Recording]:
        fn, args = self._called

        def begun(*given: Any) -> Any:
            entered()
            return fn(*given)

        for _ in range(SPARE):
            run, recording, _error = once(self.trial, self._pin, cell, begun, args, self._suspended)
            if self._pin.complete:
                break
        return run, recording

    def roots(self) -> dict[str, Root]:
        """The arguments, and what the function closes over."""
        fn, args = self._called
        found = {f"argument {number + 1}": Root(value) for number, value in enumerate(args)}
        names = getattr(getattr(fn, "__code__", None), "co_freevars", ())
        for name, cell in zip(names, getattr(fn, "__closure__", None) or ()):
            found[f"variable {name}"] = Root(cell.cell_contents)
        return found
