"""Calls a function in other interpreters: both sides of it."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from importlib import import_module
from typing import Any

from pytest_repro.axes import get_axis
from pytest_repro.core.diagnose.experiment import Experiment, ExperimentResult, decode_experiment
from pytest_repro.core.plan.cell import Cell
from pytest_repro.core.plan.plan import BadArgument, Plan
from pytest_repro.core.plan.tolerance import Tolerance
from pytest_repro.engine.check.function_runs import FunctionRuns
from pytest_repro.engine.experiments.fork import ForkFailed, run_in_forks
from pytest_repro.engine.experiments.fork_before_import import serve_fresh_forks
from pytest_repro.engine.experiments.process_setup import single_threaded
from pytest_repro.engine.experiments.run_experiment import run_experiment
from pytest_repro.engine.runs.remote_run import RemoteValues, encode_cell, receive_run
from pytest_repro.engine.runs.trial import Trial

TIMEOUT = 300.0
"""Seconds after which a call in another interpreter is abandoned."""


def call_in_companions(trial: Trial, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Calls *fn* in another interpreter for each remote cell of *trial*.

    Raises:
        BadArgument: *fn* cannot be imported there, or *args* do not pickle.
    """
    cells = list(trial.remote_cells())
    if not cells:
        return
    from pytest_repro.companions.companion import Companion, InterpreterLost

    order = build_order(trial.plan, cells[0].axis, fn, args)
    for cell in cells:
        companion = None
        try:
            companion = Companion(get_axis(cell.axis).build_interpreter(cell.value), order, sys.path, TIMEOUT)
            _call_cell(trial, companion, cell)
        except InterpreterLost as lost:
            trial.add_lost(cell, str(lost))
        finally:
            if companion is not None:
                companion.request_exit()
                companion.join_or_kill()


def _call_cell(trial: Trial, companion: Any, cell: Cell) -> None:
    _call_once(trial, companion, cell)
    if trial.differs(cell):
        _call_once(trial, companion, cell.as_repeat())


def _call_once(trial: Trial, companion: Any, cell: Cell) -> None:
    companion.send("call", *encode_cell(cell))
    receive_run(trial, companion, cell, companion.receive("while it called the function")[1])


def build_order(plan: Plan, axis: str, fn: Callable[..., Any], args: tuple[Any, ...]) -> dict[str, Any]:
    """The order for a companion that calls ``fn(*args)``.

    Args:
        plan: The plan.
        axis: The axis that needs it.
        fn: A function that can be imported there.
        args: Its arguments, which must pickle.

    Raises:
        BadArgument: *fn* cannot be imported there, or *args* do not pickle.
    """
    module, name = getattr(fn, "__module__", None), getattr(fn, "__qualname__", "")
    if module in (None, "__main__") or _find_attribute(sys.modules.get(module), name) != fn:
        why = "needs a function that another interpreter can import: one of a module, no lambda"
        raise BadArgument(axis, fn, why)
    try:
        pickled = pickle.dumps(args)
    except Exception as error:
        raise BadArgument(axis, fn, f"its arguments do not pickle: {error}") from None
    told = {"seed": plan.seed, "deterministic": plan.deterministic, "tolerance": tuple(plan.tolerance or ())}
    place = {"serve": __name__, "chdir": os.getcwd(), "module": module, "name": name}
    return {**place, "args": pickled, **told}


def _find_attribute(module: Any, name: str) -> Any:
    """The attribute *name* of *module*, with dots; None if there is none."""
    found = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def run_function_experiment(
    plan: Plan, fn: Callable[..., Any], args: tuple[Any, ...], experiment: Experiment
) -> ExperimentResult:
    """Makes the runs of *experiment* on ``fn(*args)`` in this process."""
    with FunctionRuns(plan, fn, args) as runs:
        return run_experiment(runs, experiment)


def serve(channel: Any, order: Mapping[str, Any]) -> None:
    """Serves calls of a function in a companion.

    Args:
        channel: execnet's.
        order: From :func:`build_order`.
    """
    if order.get("bare"):
        serve_fresh_forks(serve, channel, {**order, "bare": False})
        return
    from pytest_repro.companions.remote_main import serve_requests

    served = _FunctionServer(channel, order)
    serve_requests(
        channel, {"call": served.call, "try": served.run_experiment, "fetch": served.values.send_value}
    )


class _FunctionServer:
    """The function in this process."""

    def __init__(self, channel: Any, order: Mapping[str, Any]) -> None:
        with single_threaded(order["threads"]) if "threads" in order else nullcontext():
            self._fn = _find_attribute(import_module(order["module"]), order["name"])
            self._args, self.values = pickle.loads(order["args"]), RemoteValues(channel)
        close = Tolerance(*order["tolerance"]) if order["tolerance"] else None
        self._plan = Plan(seed=order["seed"], deterministic=order["deterministic"], tolerance=close)

    def call(self, *cell: Any) -> tuple[str, str]:
        """Calls it once at a cell."""
        runs = FunctionRuns(self._plan, self._fn, self._args)
        try:
            run, recording = runs.run(runs.trial.make_spec(Cell(*cell), 0))
        finally:
            runs.release()
        return self.values.keep_and_encode(runs.trial, run, recording)

    def run_experiment(self, text: str, seconds: float) -> tuple[str, Any]:
        """Runs an experiment in a fork of this process, which has imported and never computed."""
        run_here = partial(run_function_experiment, self._plan, self._fn, self._args)
        try:
            return "tried", run_in_forks(run_here, decode_experiment(text), seconds)
        except ForkFailed as broken:
            return "unknown", str(broken)
