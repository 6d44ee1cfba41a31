"""A function as the target of experiments: in a companion if it can be imported, else in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from pytest_repro.axes import Interpreter
from pytest_repro.companions.companion import Companion, InterpreterLost
from pytest_repro.core.diagnose.experiment import (
    Experiment,
    ExperimentResult,
    decode_result,
    encode_experiment,
)
from pytest_repro.core.plan.plan import BadArgument, Plan
from pytest_repro.engine.check.remote_call import TIMEOUT, build_order, run_function_experiment
from pytest_repro.engine.diagnose.budgeted_experiments import DEFAULT_INTERPRETER, ExperimentFailed
from pytest_repro.engine.experiments.fork import FORK_AVAILABLE
from pytest_repro.engine.experiments.process_setup import get_thread_count

_IMPORT_SECONDS = 30.0
"""Seconds beyond its time that an experiment may take: the module is imported first."""


class FunctionTarget:
    """``fn(*args)`` as the target of experiments.

    Attributes:
        fresh_processes: Whether each experiment begins in a process that has not computed.
    """

    def __init__(self, plan: Plan, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._plan, self._fn_and_args = plan, (fn, args)
        self._companions: dict[str, Companion] = {}
        try:
            self._order = build_order(plan, "inquiry", fn, args)
        except BadArgument:
            self._order = {}
        self.fresh_processes = bool(self._order) and FORK_AVAILABLE

    def start_interpreters(self, interpreters: Sequence[Interpreter], seconds: float) -> None:
        for each in interpreters:
            self._get_companion(each, seconds)

    def run_experiment(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, seconds_left: float
    ) -> ExperimentResult:
        if not self._order and interpreter is None:
            return run_function_experiment(self._plan, *self._fn_and_args, experiment)
        return self._run_in_companion(experiment, interpreter or DEFAULT_INTERPRETER, seconds, seconds_left)

    def _run_in_companion(
        self, experiment: Experiment, interpreter: Interpreter, seconds: float, seconds_left: float
    ) -> ExperimentResult:
        try:
            companion = self._get_companion(interpreter, seconds_left)
            companion.send("try", encode_experiment(experiment), seconds)
            word, said = companion.receive(
                "while it tried the function", min(seconds + _IMPORT_SECONDS, seconds_left)
            )
        except InterpreterLost as lost:
            if interpreter.name in self._companions:
                self._companions.pop(interpreter.name).kill()
            raise ExperimentFailed(str(lost)) from None
        if word == "unknown":
            raise ExperimentFailed(f"an experiment in {interpreter.name} {said}")
        return decode_result(said)

    def _get_companion(self, interpreter: Interpreter, seconds: float) -> Companion:
        if not self._order:
            raise ExperimentFailed(
                "another interpreter cannot import the function: it must be one of a module"
            )
        try:
            if interpreter.name not in self._companions:
                told = {**self._order, "threads": get_thread_count(), "bare": interpreter.imports_per_run}
                self._companions[interpreter.name] = Companion(
                    interpreter, told, sys.path, min(seconds, TIMEOUT)
                )
        except InterpreterLost as lost:
            raise ExperimentFailed(str(lost)) from None
        return self._companions[interpreter.name]

    def close(self) -> None:
        """Ends the companions."""
        while self._companions:
            self._companions.popitem()[1].kill()
