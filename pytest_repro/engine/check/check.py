"""The same verdict without pytest: calls a function several times and compares what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from pytest_repro.axes import resolve_axes, validate_argument_names
from pytest_repro.core.compare.verdict import NotReproducible, Verdict
from pytest_repro.core.plan.cell import Cell
from pytest_repro.core.plan.plan import ARGUMENTS, BadArgument, Plan, override_plan
from pytest_repro.engine.check.function_runs import FunctionRuns, has_arrays
from pytest_repro.engine.check.function_subject import FunctionTarget
from pytest_repro.engine.check.remote_call import call_in_companions
from pytest_repro.engine.diagnose.diagnose import diagnose_verdict

DIAGNOSE_SECONDS, SLOW_CALL_SECONDS = 60.0, 10.0
"""For how long a cause is looked for; seconds of a call from which on only where that is asked."""


def check(
    fn: Callable[..., Any],
    *args: Any,
    runs: int = 2,
    seed: int = 0,
    rtol: float | None = None,
    atol: float | None = None,
    diagnose: Literal["auto", "always", "never"] = "auto",
    **axes: Any,
) -> Verdict:
    """Calls ``fn(*args)`` *runs* times, equally seeded, and compares what it returns.

    Args:
        fn: Returns what must not change: numbers, arrays, tensors, modules, or dicts, lists,
            tuples and dataclasses of them. Returning None is observing nothing.
        *args: Given to *fn* in each run; what it changes in them the next run meets.
        runs: Number of calls, at least 1; 1 compares nothing.
        seed: Given to every generator before each call, 0 … 2**32 - 1.
        rtol: Relative tolerance; together with *atol*. None asks equal bits.
        atol: Absolute tolerance, in the unit of the values.
        diagnose: Whether the cause of a difference is looked for, by more calls; ``"auto"``: where
            a call took under 10 s.
        **axes: ``deterministic=True | "warn" | False``: deterministic algorithms; and what is
            varied, as the marker takes it: ``threads=(1, 2)``, ``device=("cpu", "cuda")``. For
            ``process``, ``isa`` and ``machine`` *fn* must be a function of a module that another
            interpreter can import, and *args* must pickle.

    Returns:
        The :class:`Verdict`; an exception that *fn* raises in each call is its ``error``.

    Raises:
        ValueError: An argument does not fit; the message names it.
        TypeError: Something that *fn* returned cannot be compared.
    """
    if not callable(fn):
        raise TypeError(f"check takes a function to call, not {type(fn).__qualname__}: check(train, 3)")
    plan = build_plan({"runs": runs, "seed": seed, "rtol": rtol, "atol": atol, **axes})
    with FunctionRuns(plan, fn, args) as calls:
        _make_runs(calls, fn, args)
        verdict = calls.trial.compute_verdict()
    if verdict.outcome == "diverged" and diagnose != "never":
        verdict = _add_diagnosis(verdict, FunctionTarget(plan, fn, args), diagnose)
    return verdict if calls.error is None else replace(verdict, error=calls.error)


def _add_diagnosis(verdict: Verdict, function: FunctionTarget, mode: str) -> Verdict:
    """*verdict* with what made it so."""
    if mode == "auto" and max(run.seconds for run in verdict.runs) > SLOW_CALL_SECONDS:
        return verdict
    try:
        answer = diagnose_verdict(function, verdict, DIAGNOSE_SECONDS, lambda doing: None)
    finally:
        function.close()
    return replace(verdict, divergence=answer.divergence, cause=answer.cause)


def build_plan(arguments: dict[str, Any]) -> Plan:
    """The plan that *arguments* ask, axes among them.

    Raises:
        ValueError: An argument does not fit; the message names it.
    """
    validate_argument_names(arguments)
    if "ranks" in arguments:
        raise BadArgument("ranks", arguments["ranks"], "of tests alone: @pytest.mark.reproducible(ranks=2)")
    if "baseline" in arguments:
        allowed = "golden files are of tests: @pytest.mark.reproducible(baseline=True)"
        raise BadArgument("baseline", arguments["baseline"], allowed)
    if "seeds" in arguments:
        allowed = "seed sweeps are of tests: @pytest.mark.reproducible(seeds=20)"
        raise BadArgument("seeds", arguments["seeds"], allowed)
    vary = resolve_axes({name: given for name, given in arguments.items() if name not in ARGUMENTS})
    plain = {name: given for name, given in arguments.items() if name in ARGUMENTS}
    return override_plan(Plan(vary=vary), plain)


def _make_runs(runs: FunctionRuns, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Makes every run of the plan."""
    trial = runs.trial
    if trial.unrunnable:
        return
    for cell in trial.iter_rehearsals():
        _run_cell(runs, cell, args)
    call_in_companions(trial, fn, args)
    _run_cell(runs, trial.last_cell, args)


def _run_cell(runs: FunctionRuns, cell: Cell, args: tuple[Any, ...]) -> None:
    trial = runs.trial
    result = runs.run(trial.make_spec(cell, len(trial.runs)))
    if cell.axis == "alignment" and not has_arrays(args):
        trial.add_unavailable(cell, "there is no tensor or array in the arguments, so nothing was moved")
    else:
        trial.add(*result)


def assert_reproducible(
    fn: Callable[..., Any],
    *args: Any,
    runs: int = 2,
    seed: int = 0,
    rtol: float | None = None,
    atol: float | None = None,
    diagnose: Literal["auto", "always", "never"] = "auto",
    **axes: Any,
) -> Verdict:
    """As :func:`check`, but raises when the calls differ.

    Raises:
        NotReproducible: The calls differ, *fn* returned nothing to compare, or another interpreter
            gave no answer.
        unittest.SkipTest: No value of an axis was to be had here but the reference's.
        Exception: What *fn* itself raised, when it did so in each call.
        ValueError: An argument does not fit.
        TypeError: Something that *fn* returned cannot be compared.
    """
    from unittest import SkipTest

    from pytest_repro.reports.failure.runs import describe_unavailable
    from pytest_repro.reports.failure.text import format_failure, format_lost_runs

    verdict = check(fn, *args, runs=runs, seed=seed, rtol=rtol, atol=atol, diagnose=diagnose, **axes)
    if verdict.outcome == "failed" and verdict.error is not None:
        raise verdict.error
    if verdict.outcome in ("diverged", "unobserved"):
        raise NotReproducible(format_failure(_format_name(fn), verdict), verdict) from verdict.error
    if verdict.outcome == "failed":
        raise NotReproducible(format_lost_runs(_format_name(fn), verdict), verdict)
    if verdict.outcome == "skipped":  # pytest takes it for a skip; elsewhere it is an error of its own
        raise SkipTest(f"nothing was compared: {describe_unavailable(verdict)}")
    return verdict


def _format_name(fn: Callable[..., Any]) -> str:
    return f"{fn.__module__}.{getattr(fn, '__qualname__', type(fn).__qualname__)}"
