"""Calls a function as a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from pytest_repro.adapters import find_array_adapter
from pytest_repro.core.diagnose import StateRoot
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Outcome, RunSpec
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.engine.runs.run_source import BodyStartCallback, make_run, run_until_settled
from pytest_repro.engine.runs.trial import RunResult, Trial


class FunctionRuns:
    """Makes runs of ``fn(*args)``; what it returns is recorded as ``result``.

    Attributes:
        trial: The runs so far.
        error: The exception that the last failing run raised.
    """

    def __init__(self, plan: Plan, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.trial, self._fn, self._args = Trial(plan), fn, args
        self._pin = Pin(plan.seed, plan.deterministic)
        self.error: BaseException | None = None

    def __enter__(self) -> FunctionRuns:
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            self.release()
        finally:
            self.trial.close()

    def release(self) -> None:
        """Restores generators, switches and axes; the trial keeps its values until it is closed."""
        self._pin.release()

    def run(self, spec: RunSpec, on_body_start: BodyStartCallback | None = None) -> RunResult:
        """Calls the function once; a call that imports a library is repeated.

        Raises:
            TypeError: Something that it returned cannot be compared.
        """
        try:
            return run_until_settled(lambda: self._call(spec, on_body_start), lambda _: self._pin.is_settled)
        finally:
            if on_body_start is not None:  # an experiment, whose patches lie below those of the run
                self._pin.end_run()

    def _call(self, spec: RunSpec, on_body_start: BodyStartCallback | None) -> RunResult:
        self._pin.prepare_run(spec)
        self._pin.seed()
        recording, error, start = self.trial.new_recording(spec.cell), None, perf_counter()
        if on_body_start is not None:
            on_body_start()
        try:
            value = self._fn(*_shift_arrays(self._args, spec.cell.setting))
        except Exception as raised:
            self.error = error = raised
        else:
            if value is not None:
                recording.record("result", value)
        seconds = perf_counter() - start
        outcome: Outcome = "passed" if error is None else "failed"
        run = make_run(spec.cell, outcome, seconds, recording, error, self._pin.axis_generators_used)
        return RunResult(run, recording)

    def find_roots(self) -> Mapping[str, StateRoot]:
        """The arguments, and what the function closes over."""
        roots = {f"argument {number}": StateRoot(value) for number, value in enumerate(self._args, 1)}
        names = getattr(getattr(self._fn, "__code__", None), "co_freevars", ())
        for name, cell in zip(names, getattr(self._fn, "__closure__", None) or ()):
            roots[f"variable {name}"] = StateRoot(cell.cell_contents)
        return roots


def _shift_arrays(args: tuple[Any, ...], setting: Mapping[str, Any]) -> tuple[Any, ...]:
    """*args* with their tensors and arrays copied to the offset of the axis ``alignment``, if varied."""
    if "alignment" not in setting:
        return args
    from pytest_repro.axes.alignment import copy_at_offset

    offset = setting["alignment"]
    return tuple(_map_arrays(value, lambda array: copy_at_offset(array, offset)) for value in args)


def has_arrays(args: tuple[Any, ...]) -> bool:
    """Whether *args* hold a tensor or an array, in lists, tuples and dicts too."""
    arrays: list[Any] = []
    _map_arrays(args, arrays.append)
    return bool(arrays)


def _map_arrays(value: Any, change: Callable[[Any], Any]) -> Any:
    if find_array_adapter(value) is not None:
        return change(value)
    if type(value) in (list, tuple):
        return type(value)(_map_arrays(each, change) for each in value)
    if type(value) is dict:
        return {key: _map_arrays(each, change) for key, each in value.items()}
    return value
