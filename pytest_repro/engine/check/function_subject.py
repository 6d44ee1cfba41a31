"""A function to diagnose: runs in companions if they can import it, otherwise in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from pytest_repro.axes import Interpreter
from pytest_repro.companions.companion import Companion, InterpreterLost
from pytest_repro.companions.pool import CompanionPool
from pytest_repro.core.diagnose import Experiment, ExperimentResult, decode_result, encode_experiment
from pytest_repro.core.plan.arguments import BadArgument
from pytest_repro.core.plan.plan import Plan
from pytest_repro.engine.check.remote_call import TIMEOUT, build_order, run_function_experiment
from pytest_repro.engine.diagnose.budgeted_experiments import DEFAULT_INTERPRETER, ExperimentFailed
from pytest_repro.engine.experiments.fork import FORK_AVAILABLE
from pytest_repro.engine.experiments.process_setup import get_thread_count

_IMPORT_SECONDS = 30.0
"""Seconds that an experiment may take beyond its time limit: it imports the module first."""


class FunctionTarget:
    """``fn(*args)``, as a target of experiments.

    Attributes:
        fresh_processes: Whether each experiment starts in a process that has not computed yet.
    """

    def __init__(self, plan: Plan, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._plan, self._fn_and_args = plan, (fn, args)
        self._pool = CompanionPool[str, Companion](max_losses=None, retry_start=True)
        try:
            self._order = build_order(plan, "inquiry", fn, args)
        except BadArgument:
            self._order = {}
        self.fresh_processes = bool(self._order) and FORK_AVAILABLE

    def start_interpreters(self, interpreters: Sequence[Interpreter], seconds: float) -> None:
        try:
            for interpreter in interpreters:
                self._pool.get(interpreter.name, partial(self._start, interpreter, seconds))
        except InterpreterLost as lost:
            raise ExperimentFailed(str(lost)) from None

    def run_experiment(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, seconds_left: float
    ) -> ExperimentResult:
        if not self._order and interpreter is None:
            return run_function_experiment(self._plan, *self._fn_and_args, experiment)
        place = interpreter or DEFAULT_INTERPRETER
        try:
            with self._pool.using(place.name, partial(self._start, place, seconds_left)) as companion:
                companion.send("try", encode_experiment(experiment), seconds)
                timeout = min(seconds + _IMPORT_SECONDS, seconds_left)
                word, answer = companion.receive("while it ran the function", timeout)
        except InterpreterLost as lost:
            raise ExperimentFailed(str(lost)) from None
        if word == "unknown":
            raise ExperimentFailed(f"an experiment in {place.name} {answer}")
        return decode_result(answer)

    def _start(self, interpreter: Interpreter, seconds: float) -> Companion:
        if not self._order:
            raise ExperimentFailed("another interpreter cannot import the function: it is in no module")
        order = {**self._order, "threads": get_thread_count(), "bare": interpreter.imports_per_run}
        return Companion(interpreter, order, sys.path, min(seconds, TIMEOUT))

    def close(self) -> None:
        """Ends the interpreters."""
        self._pool.close(immediately=True)
