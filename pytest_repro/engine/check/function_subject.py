"""A function as an inquiry tries it: in a companion where it can be imported, else in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from pytest_repro.axes import Interpreter
from pytest_repro.companions.companion import Companion, Lost
from pytest_repro.core.diagnose.experiment import Experiment, Tried, order_text, tried_of
from pytest_repro.core.plan.plan import BadArgument, Plan
from pytest_repro.engine.check.call_once import tried_here
from pytest_repro.engine.check.remote_call import TIMEOUT, order_for
from pytest_repro.engine.diagnose.budgeted_experiments import LIKE_THIS, Untried
from pytest_repro.engine.experiments.fork import AVAILABLE
from pytest_repro.engine.experiments.single_thread import threads_here

_IMPORT = 30.0
"""Seconds over its time that an experiment may take to answer: the module is imported before."""


class Function:
    """``fn(*args)``, to be tried.

    Attributes:
        fresh: Whether each experiment begins in a process that has not computed yet.
    """

    def __init__(self, plan: Plan, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._plan, self._called = plan, (fn, args)
        self._companions: dict[str, Companion] = {}
        try:
            self._order = order_for(plan, "inquiry", fn, args)
        except BadArgument:
            self._order = {}
        self.fresh = bool(self._order) and AVAILABLE

    def prepare(self, interpreters: Sequence[Interpreter], seconds: float) -> None:
        for each in interpreters:
            self._companion(each, seconds)

    def tried(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, left: float
    ) -> Tried:
        if not self._order and interpreter is None:
            return tried_here(self._plan, *self._called, experiment)
        return self._elsewhere(experiment, interpreter or LIKE_THIS, seconds, left)

    def _elsewhere(self, experiment: Experiment, where: Interpreter, seconds: float, left: float) -> Tried:
        try:
            companion = self._companion(where, left)
            companion.send("try", order_text(experiment), seconds)
            word, said = companion.receive("while it tried the function", min(seconds + _IMPORT, left))
        except Lost as lost:
            if where.called in self._companions:
                self._companions.pop(where.called).kill()
            raise Untried(str(lost)) from None
        if word == "unknown":
            raise Untried(f"an experiment in {where.called} {said}")
        return tried_of(said)

    def _companion(self, where: Interpreter, seconds: float) -> Companion:
        if not self._order:
            raise Untried("another interpreter cannot import the function: it must be one of a module")
        try:
            if where.called not in self._companions:
                told = {**self._order, "threads": threads_here(), "bare": where.bare}
                self._companions[where.called] = Companion(where, told, sys.path, min(seconds, TIMEOUT))
        except Lost as lost:
            raise Untried(str(lost)) from None
        return self._companions[where.called]

    def close(self) -> None:
        """Ends the interpreters that were needed."""
        while self._companions:
            self._companions.popitem()[1].kill()
