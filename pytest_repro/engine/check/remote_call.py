"""Calls a function in other interpreters: both sides."""

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
from pytest_repro.companions.companion import Companion, InterpreterLost
from pytest_repro.companions.pool import CompanionPool
from pytest_repro.companions.remote_main import serve_requests
from pytest_repro.core.diagnose import Experiment, ExperimentResult, decode_experiment
from pytest_repro.core.plan.arguments import BadArgument
from pytest_repro.core.plan.plan import Cell, Plan
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
    """Calls *fn* in each other interpreter that the plan of *trial* needs, one at a time.

    Raises:
        BadArgument: *fn* cannot be imported there, or *args* do not pickle.
    """
    cells = list(trial.remote_cells())
    if not cells:
        return
    order = build_order(trial.plan, cells[0].axis, fn, args)
    pool = CompanionPool[object, Companion]()
    for cell in cells:
        interpreter = get_axis(cell.axis).build_interpreter(cell.value)
        start = partial(Companion, interpreter, order, sys.path, TIMEOUT)
        try:
            with pool.using(cell.value, start) as companion:
                _call_cell(trial, companion, cell)
        except InterpreterLost as lost:
            trial.add_lost(cell, str(lost))
        finally:
            pool.close()


def _call_cell(trial: Trial, companion: Companion, cell: Cell) -> None:
    _call_once(trial, companion, cell)
    if trial.differs(cell):
        _call_once(trial, companion, cell.as_repeat())


def _call_once(trial: Trial, companion: Companion, cell: Cell) -> None:
    companion.send("call", *encode_cell(cell))
    receive_run(trial, companion, cell, companion.receive("while it called the function")[1])


def build_order(plan: Plan, axis: str, fn: Callable[..., Any], args: tuple[Any, ...]) -> dict[str, Any]:
    """The order for a companion that calls ``fn(*args)``.

    Args:
        plan: Seed, determinism and tolerance of the calls.
        axis: The axis that needs it, for the error.
        fn: A function that the companion can import.
        args: Arguments that pickle.

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
    return {
        "serve": __name__, "chdir": os.getcwd(), "module": module, "name": name, "args": pickled,
        "seed": plan.seed, "deterministic": plan.deterministic, "tolerance": tuple(plan.tolerance or ()),
    }  # fmt: skip


def _find_attribute(module: Any, name: str) -> Any:
    """The attribute *name* of *module*, with dots for nested ones; None if there is none."""
    value = module
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


def run_function_experiment(
    plan: Plan, fn: Callable[..., Any], args: tuple[Any, ...], experiment: Experiment
) -> ExperimentResult:
    """Makes the runs of *experiment* on ``fn(*args)`` in this process."""
    with FunctionRuns(plan, fn, args) as runs:
        return run_experiment(runs, experiment)


def serve(channel: Any, order: Mapping[str, Any]) -> None:
    """Calls a function on request, in a companion.

    Args:
        channel: Of execnet.
        order: From :func:`build_order`.
    """
    if order.get("bare"):
        serve_fresh_forks(serve, channel, {**order, "bare": False})
        return
    server = _FunctionServer(channel, order)
    serve_requests(
        channel, {"call": server.call, "try": server.run_experiment, "fetch": server.values.send_value}
    )


class _FunctionServer:
    """Holds the function, its arguments and the plan of its calls."""

    def __init__(self, channel: Any, order: Mapping[str, Any]) -> None:
        with single_threaded(order["threads"]) if "threads" in order else nullcontext():
            self._fn = _find_attribute(import_module(order["module"]), order["name"])
            self._args, self.values = pickle.loads(order["args"]), RemoteValues(channel)
        tolerance = Tolerance(*order["tolerance"]) if order["tolerance"] else None
        self._plan = Plan(seed=order["seed"], deterministic=order["deterministic"], tolerance=tolerance)

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
