"""A function called in other interpreters: both sides of it."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from importlib import import_module
from typing import Any

from pytest_repro.axes import named
from pytest_repro.core.diagnose.experiment import experiment_of
from pytest_repro.core.plan.cell import Cell
from pytest_repro.core.plan.plan import BadArgument, Plan
from pytest_repro.core.plan.tolerance import Tolerance
from pytest_repro.engine.check.call_once import once, tried_here
from pytest_repro.engine.experiments.fork import Broken, tried_apart
from pytest_repro.engine.experiments.fork_before_import import serve_anew
from pytest_repro.engine.experiments.single_thread import one_thread
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.engine.runs.remote_run import Kept, plain, take
from pytest_repro.engine.runs.trial import Trial

TIMEOUT = 300.0
"""Seconds after which a call in another interpreter is given up."""


def call_elsewhere(trial: Trial, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Has *fn* called wherever the plan of *trial* wants another interpreter.

    Raises:
        BadArgument: *fn* cannot be imported there, or *args* do not pickle.
    """
    cells = list(trial.elsewhere())
    if not cells:
        return
    from pytest_repro.companions.companion import Companion, Lost

    order = order_for(trial.plan, cells[0].axis, fn, args)
    for cell in cells:
        companion = None
        try:
            companion = Companion(named(cell.axis).interpreter(cell.value), order, sys.path, TIMEOUT)
            _call(trial, companion, cell)
        except Lost as lost:
            trial.lost(cell, str(lost))
        finally:
            if companion is not None:
                companion.finish()
                companion.end()


def _call(trial: Trial, companion: Any, cell: Cell) -> None:
    _take(trial, companion, cell)
    if trial.differs(cell):
        _take(trial, companion, cell.again())


def _take(trial: Trial, companion: Any, cell: Cell) -> None:
    companion.send("call", *plain(cell))
    take(trial, companion, cell, companion.receive("while it called the function")[1])


def order_for(plan: Plan, axis: str, fn: Callable[..., Any], args: tuple[Any, ...]) -> dict[str, Any]:
    """What a companion is told that is to call ``fn(*args)``.

    Args:
        plan: What is asked.
        axis: Which axis needs it.
        fn: A function that can be imported there.
        args: What can be pickled.

    Raises:
        BadArgument: *fn* cannot be imported there, or *args* do not pickle.
    """
    module, name = getattr(fn, "__module__", None), getattr(fn, "__qualname__", "")
    if module in (None, "__main__") or _found(sys.modules.get(module), name) != fn:
        why = "needs a function that another interpreter can import: one of a module, no lambda"
        raise BadArgument(axis, fn, why)
    try:
        pickled = pickle.dumps(args)
    except Exception as error:
        raise BadArgument(axis, fn, f"its arguments do not pickle: {error}") from None
    told = {"seed": plan.seed, "deterministic": plan.deterministic, "tolerance": tuple(plan.tolerance or ())}
    place = {"serve": __name__, "chdir": os.getcwd(), "module": module, "name": name}
    return {**place, "args": pickled, **told}


def _found(module: Any, name: str) -> Any:
    """What is called *name* in *module*; None where nothing is: in a function, say."""
    found = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def serve(channel: Any, order: Mapping[str, Any]) -> None:
    """Calls a function as often as it is asked to, in a companion.

    Args:
        channel: execnet's.
        order: As :func:`order_for` makes it.
    """
    if order.get("bare"):
        serve_anew(serve, channel, {**order, "bare": False})
        return
    from pytest_repro.companions.remote_main import answer

    served = _Served(channel, order)
    answer(channel, {"call": served.call, "try": served.tried, "fetch": served.kept.fetch})


class _Served:
    """A function that is called over here."""

    def __init__(self, channel: Any, order: Mapping[str, Any]) -> None:
        with one_thread(order["threads"]) if "threads" in order else nullcontext():
            self._fn = _found(import_module(order["module"]), order["name"])
            self._args, self.kept = pickle.loads(order["args"]), Kept(channel)
        close = Tolerance(*order["tolerance"]) if order["tolerance"] else None
        self._plan = Plan(seed=order["seed"], deterministic=order["deterministic"], tolerance=close)

    def call(self, *cell: Any) -> tuple[str, str]:
        """One call, under a cell."""
        trial = Trial(self._plan)
        with Pin(self._plan.seed, self._plan.deterministic) as pin:
            run, recording, _ = once(trial, pin, Cell(*cell), self._fn, self._args)
            if not pin.complete:
                run, recording, _ = once(trial, pin, Cell(*cell), self._fn, self._args)
        return self.kept.said(trial, run, recording)

    def tried(self, text: str, seconds: float) -> tuple[str, Any]:
        """An experiment, in a fork of this process: it has imported and never computed."""
        perform = partial(tried_here, self._plan, self._fn, self._args)
        try:
            return "tried", tried_apart(perform, experiment_of(text), seconds)
        except Broken as broken:
            return "unknown", str(broken)
