"""A function called in other interpreters: both sides of it."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from pytest_repro.axes import named
from pytest_repro.core.cell import Cell
from pytest_repro.core.plan import BadArgument, Plan
from pytest_repro.engine.ferry import Kept, plain, take
from pytest_repro.engine.trial import Trial

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

    order = _order(trial.plan, cells[0].axis, fn, args)
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


def _order(plan: Plan, axis: str, fn: Callable[..., Any], args: tuple[Any, ...]) -> dict[str, Any]:
    module, name = getattr(fn, "__module__", None), getattr(fn, "__qualname__", "")
    if module in (None, "__main__") or _found(sys.modules.get(module), name) != fn:
        why = "needs a function that another interpreter can import: one of a module, no lambda"
        raise BadArgument(axis, fn, why)
    try:
        pickled = pickle.dumps(args)
    except Exception as error:
        raise BadArgument(axis, fn, f"its arguments do not pickle: {error}") from None
    told = {"seed": plan.seed, "deterministic": plan.deterministic}
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
        order: ``module``, ``name``, ``args``, ``seed`` and ``deterministic``.
    """
    from pytest_repro.companions.far import answer
    from pytest_repro.engine.check import once
    from pytest_repro.engine.pin import Pin

    fn = _found(import_module(order["module"]), order["name"])
    args, kept = pickle.loads(order["args"]), Kept(channel)
    plan = Plan(seed=order["seed"], deterministic=order["deterministic"])

    def call(*cell: Any) -> tuple[str, str]:
        trial = Trial(plan)
        with Pin(plan.seed, plan.deterministic) as pin:
            run, recording, _ = once(trial, pin, Cell(*cell), fn, args)
            if not pin.complete:
                run, recording, _ = once(trial, pin, Cell(*cell), fn, args)
        return kept.said(trial, run, recording)

    answer(channel, {"call": call, "fetch": kept.fetch})
