"""Calls a function in other interpreters, to compare and to diagnose it: both sides."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from importlib import import_module
from typing import Any

from pytest_repro.axes import Interpreter, get_axis
from pytest_repro.companions.companion import Companion, InterpreterLost
from pytest_repro.companions.pool import CompanionPool
from pytest_repro.companions.remote_main import serve_requests
from pytest_repro.core.diagnose import (
    Experiment,
    ExperimentResult,
    decode_experiment,
    decode_result,
    encode_experiment,
)
from pytest_repro.core.plan.arguments import BadArgument
from pytest_repro.core.plan.plan import Cell, Plan, Tolerance, make_reference_cell
from pytest_repro.engine.check.function_runs import FunctionRuns
from pytest_repro.engine.check.placement import build_fixed_interpreter, combine
from pytest_repro.engine.diagnose import DEFAULT_INTERPRETER, ExperimentFailed, ThisProcess
from pytest_repro.engine.diagnose.time_limit import time_limit
from pytest_repro.engine.experiments.fork import FORK_AVAILABLE, ForkFailed, run_in_forks
from pytest_repro.engine.experiments.fresh_imports import (
    import_libraries,
    list_library_modules,
    serve_fresh_forks,
)
from pytest_repro.engine.experiments.process_setup import get_thread_count, single_threaded
from pytest_repro.engine.experiments.program_fork import find_server
from pytest_repro.engine.experiments.run_experiment import run_experiment
from pytest_repro.engine.runs.remote_run import RemoteValues, encode_cell, receive_run
from pytest_repro.engine.runs.trial import Trial

_TIMEOUT = 300.0
"""Seconds after which a call in another interpreter is abandoned."""

_IMPORT_SECONDS = 30.0
"""Seconds that an experiment may take beyond its time limit: it imports the module first."""


def call_in_companions(trial: Trial, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Calls *fn* in each other interpreter that the plan of *trial* needs, one at a time.

    Raises:
        BadArgument: *fn* cannot be imported there, or *args* do not pickle.
    """
    cells = list(trial.remote_cells())
    if not cells:
        return
    order, base = _build_order(trial.plan, cells[0].axis, fn, args), build_fixed_interpreter(trial.plan)
    pool = CompanionPool[object, Companion]()
    for cell in cells:
        interpreter = combine(get_axis(cell.axis).build_interpreter(cell.value), base)
        start = partial(Companion, interpreter, order, sys.path, _TIMEOUT)
        try:
            with pool.using(cell.value, start) as companion:
                _call_once(trial, companion, cell)
                if trial.differs(cell):
                    _call_once(trial, companion, cell.as_repeat())
        except InterpreterLost as lost:
            trial.add_lost(cell, str(lost))
        finally:
            pool.close()


def call_elsewhere(
    calls: FunctionRuns, fn: Callable[..., Any], args: tuple[Any, ...], at: Interpreter
) -> None:
    """Makes every call of *fn* in the interpreter *at*, which axes with a single value need.

    Raises:
        BadArgument: *fn* cannot be imported there, or *args* do not pickle.
    """
    trial = calls.trial
    axis = next(each.axis for each in trial.plan.vary if each.remote and len(each.values) == 1)
    order, cell = _build_order(trial.plan, axis, fn, args), make_reference_cell(trial.plan.vary, 0)
    pool = CompanionPool[str, Companion]()
    try:
        with pool.using(axis, partial(Companion, at, order, sys.path, _TIMEOUT)) as companion:
            for cell in trial.iter_rehearsals():
                _call_once(trial, companion, cell)
            if not trial.unrunnable:
                call_in_companions(trial, fn, args)
                cell = trial.last_cell
                _call_once(trial, companion, cell)
    except InterpreterLost as lost:
        trial.add_lost(cell, str(lost))
    finally:
        pool.close()
    if failed := [run for run in trial.runs if run.outcome == "failed"]:
        calls.error = RuntimeError(f"in an interpreter with {at.name}: {failed[-1].error}")


def _call_once(trial: Trial, companion: Companion, cell: Cell) -> None:
    companion.send("call", *encode_cell(cell))
    receive_run(trial, companion, cell, companion.receive("while it called the function")[1])


def _build_order(plan: Plan, axis: str, fn: Callable[..., Any], args: tuple[Any, ...]) -> dict[str, Any]:
    """The order for a companion that calls ``fn(*args)``; *axis* needs it.

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
    for part in name.split("."):
        module = getattr(module, part, None)
    return module


def _run_here(
    plan: Plan, fn: Callable[..., Any], args: tuple[Any, ...], experiment: Experiment
) -> ExperimentResult:
    with FunctionRuns(plan, fn, args) as runs:
        return run_experiment(runs, experiment)


class FunctionTarget:
    """``fn(*args)``, as a target of experiments: here, and in companions if they can import *fn*.

    Args:
        digests: Of the calls made so far.
        others: Hash seed → digest of the call in an interpreter with it.
    """

    def __init__(
        self,
        plan: Plan,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        digests: Sequence[str],
        others: Mapping[str, str],
    ) -> None:
        self._plan, self._fn_and_args, self._base = plan, (fn, args), build_fixed_interpreter(plan)
        self._pool = CompanionPool[str, Companion](max_losses=None, retry_start=True)
        try:
            self._order = _build_order(plan, "inquiry", fn, args)
        except BadArgument:
            self._order = {}
        self.fresh_processes = bool(self._order) and FORK_AVAILABLE
        # Every call was made elsewhere if an axis with a single value needs that.
        here = ThisProcess(self._run_here, digests, digests_by_hash_seed=others)
        self.this_process = here if self._base is None else None

    def start_interpreters(self, interpreters: Sequence[Interpreter], seconds: float) -> None:
        try:
            for interpreter in (combine(find_server(each)[0], self._base) for each in interpreters):
                self._pool.get(interpreter.name, partial(self._start, interpreter, seconds))
        except InterpreterLost as lost:
            raise ExperimentFailed(str(lost)) from None

    def run_experiment(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, seconds_left: float
    ) -> ExperimentResult:
        if not self._order and interpreter is None:
            return self._run_here(experiment, seconds)
        server, request = find_server(interpreter or DEFAULT_INTERPRETER)
        place = combine(server, self._base)
        try:
            with self._pool.using(place.name, partial(self._start, place, seconds_left)) as companion:
                companion.send(request, encode_experiment(experiment), seconds)
                timeout = min(seconds + _IMPORT_SECONDS, seconds_left)
                word, answer = companion.receive("while it ran the function", timeout)
        except InterpreterLost as lost:
            raise ExperimentFailed(str(lost)) from None
        if word == "unknown":
            raise ExperimentFailed(f"an experiment in {place.name} {answer}")
        return decode_result(answer)

    def _run_here(self, experiment: Experiment, seconds: float) -> ExperimentResult:
        with time_limit(seconds):
            return _run_here(self._plan, *self._fn_and_args, experiment)

    def _start(self, interpreter: Interpreter, seconds: float) -> Companion:
        if not self._order:
            raise ExperimentFailed("another interpreter cannot import the function: it is in no module")
        order = {**self._order, "threads": get_thread_count(), "bare": interpreter.imports_per_run}
        order["libraries"] = list_library_modules() if interpreter.imports_libraries else []
        order["layout"] = interpreter.layout
        return Companion(interpreter, order, sys.path, min(seconds, _TIMEOUT))

    def close(self) -> None:
        self._pool.close(immediately=True)


def serve(channel: Any, order: Mapping[str, Any]) -> None:
    """Calls a function on request, in a companion; *order* is from :func:`_build_order`."""
    if order.get("bare") or order.get("libraries"):
        import_libraries(order["libraries"], order["layout"])
        order = {**order, "libraries": []}
    if order.get("bare"):
        serve_fresh_forks(serve, channel, {**order, "bare": False})
        return
    threads = single_threaded(order["threads"]) if "threads" in order else nullcontext()
    with threads, order.get("import_setup") or nullcontext():
        fn, args = _find_attribute(import_module(order["module"]), order["name"]), pickle.loads(order["args"])
    tolerance = Tolerance(*order["tolerance"]) if order["tolerance"] else None
    plan = Plan(seed=order["seed"], deterministic=order["deterministic"], tolerance=tolerance)
    values = RemoteValues(channel)

    def call_once(*cell: Any) -> tuple[str, str]:
        runs = FunctionRuns(plan, fn, args)
        try:
            run, recording = runs.run(runs.trial.make_spec(Cell(*cell), 0))
        finally:
            runs.release()
        return values.keep_and_encode(runs.trial, run, recording)

    def run_in_fork(text: str, seconds: float) -> tuple[str, Any]:
        # This process, which is forked, has imported and never computed.
        try:
            return "tried", run_in_forks(partial(_run_here, plan, fn, args), decode_experiment(text), seconds)
        except ForkFailed as broken:
            return "unknown", str(broken)

    serve_requests(channel, {"call": call_once, "try": run_in_fork, "fetch": values.send_value})
