"""Calls a function several times and compares what it returns: the verdict of a test, without pytest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, Literal

from pytest_repro.axes import resolve_axes, validate_argument_names
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.arguments import ARGUMENTS, BadArgument, override_plan
from pytest_repro.core.plan.plan import Cell, Deterministic, Level, Plan
from pytest_repro.engine.check.function_runs import FunctionRuns, has_arrays
from pytest_repro.engine.check.placement import build_fixed_interpreter
from pytest_repro.engine.check.remote_call import FunctionTarget, call_elsewhere, call_in_companions
from pytest_repro.engine.diagnose.diagnose import diagnose_verdict
from pytest_repro.engine.diagnose.process.fresh_processes import digest_by_hash_seed
from pytest_repro.engine.experiments.run_experiment import digest_runs

Diagnose = Literal["auto", "always", "never"]
"""Whether to look for the cause of a difference, by more calls."""

_DIAGNOSE_SECONDS, _SLOW_CALL_SECONDS = 60.0, 10.0
"""Time limit of a diagnosis, and duration of a call from which on ``diagnose="auto"`` is off."""

_TEST_ONLY = {
    "capture": "capture is for tests: a function is compared by what it returns",
    "ranks": "ranks are for tests: @pytest.mark.reproducible(ranks=2)",
    "baseline": "golden files are for tests: @pytest.mark.reproducible(baseline=True)",
    "unseeded": "unseeded is for tests: @pytest.mark.reproducible(unseeded='fail')",
    "seeds": "seed sweeps are for tests: @pytest.mark.reproducible(seeds=20)",
}


def check(
    fn: Callable[..., Any],
    *args: Any,
    runs: int = 2,
    seed: int = 0,
    rtol: float | None = None,
    atol: float | None = None,
    deterministic: Deterministic = True,
    level: Level | None = None,
    diagnose: Diagnose = "auto",
    alignment: bool | int | Sequence[int] = False,
    device: bool | str | Sequence[str] = False,
    dtype: bool | str | Sequence[str] = False,
    isa: bool | str | Sequence[str] = False,
    machine: str | Sequence[str] | None = None,
    memory: bool | float | Sequence[float] = False,
    order: bool | int = False,
    process: bool | int = False,
    stress: bool = False,
    threads: bool | int | Sequence[int] = False,
    **axes: Any,
) -> Verdict:
    """Calls ``fn(*args)`` *runs* times, equally seeded, and compares what it returns.

    The arguments are those of the marker ``reproducible``; *alignment* to *threads* are the built-in axes.

    Args:
        fn: Returns numbers, arrays, tensors, modules, or dicts, lists, tuples and dataclasses of them; None
            observes nothing. For *process*, *isa* and *machine* it must be importable.
        *args: Passed to *fn* in each run; they must pickle for the same axes.
        diagnose: Whether to look for the cause of a difference, by more calls; ``"auto"``: if a call took
            under 10 s.
        **axes: Axes of other distributions.

    Returns:
        The :class:`Verdict`; an exception that *fn* raises in each call is its ``error``.

    Raises:
        ValueError: An argument does not fit; the message names it.
        TypeError: *fn* is not callable, or something that it returned cannot be compared.
    """
    pinned = {"runs": runs, "seed": seed, "deterministic": deterministic}
    compared = {"rtol": rtol, "atol": atol, "level": level}
    varied = {"alignment": alignment, "device": device, "dtype": dtype, "isa": isa, "machine": machine}
    more = {"memory": memory, "order": order, "process": process, "stress": stress, "threads": threads}
    return check_call(fn, args, diagnose, {**pinned, **compared, **varied, **more}, axes)


def check_call(
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    diagnose: Diagnose,
    arguments: Mapping[str, Any],
    axes: Mapping[str, Any],
) -> Verdict:
    """As :func:`check`, with the named arguments and the axes of other distributions as mappings."""
    if not callable(fn):
        raise TypeError(f"check expects a function to call, not {type(fn).__qualname__}: check(train, 3)")
    plan = _build_plan(arguments, axes)
    with FunctionRuns(plan, fn, args) as calls:
        _make_runs(calls, fn, args)
        verdict = calls.trial.compute_verdict()
        digests = digest_runs(calls.trial, verdict) if verdict.outcome == "diverged" else ()
        others = digest_by_hash_seed(calls.trial.finished_runs if digests else ())
    if verdict.outcome == "diverged" and diagnose != "never":
        verdict = _add_diagnosis(verdict, FunctionTarget(plan, fn, args, digests, others), diagnose)
    return verdict if calls.error is None else replace(verdict, error=calls.error)


def _add_diagnosis(verdict: Verdict, function: FunctionTarget, mode: str) -> Verdict:
    if mode == "auto" and max(run.seconds for run in verdict.runs) > _SLOW_CALL_SECONDS:
        return verdict
    with closing(function):
        answer = diagnose_verdict(function, verdict, _DIAGNOSE_SECONDS, lambda doing: None)
    found = replace(verdict, divergence=answer.divergence, causes=answer.causes)
    return replace(found, diagnosis_seconds=answer.seconds)


def _build_plan(arguments: Mapping[str, Any], axes: Mapping[str, Any]) -> Plan:
    for name, value in axes.items():
        if name in _TEST_ONLY:
            raise BadArgument(name, value, _TEST_ONLY[name])
    validate_argument_names(axes)
    given = {name: value for name, value in {**arguments, **axes}.items() if value is not None}
    varied = {name: value for name, value in given.items() if name not in ARGUMENTS and value is not False}
    plain = {name: value for name, value in given.items() if name in ARGUMENTS}
    return override_plan(Plan(vary=resolve_axes(varied)), plain)


def _make_runs(calls: FunctionRuns, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    trial = calls.trial
    if trial.unrunnable:
        return
    if (fixed := build_fixed_interpreter(trial.plan)) is not None:
        call_elsewhere(calls, fn, args, fixed)
        return
    for cell in trial.iter_rehearsals():
        _run_cell(calls, cell, args)
    if trial.unrunnable:
        return
    call_in_companions(trial, fn, args)
    _run_cell(calls, trial.last_cell, args)


def _run_cell(calls: FunctionRuns, cell: Cell, args: tuple[Any, ...]) -> None:
    trial = calls.trial
    result = calls.run(trial.make_spec(cell, trial.run_count))
    if cell.axis == "alignment" and not has_arrays(args):
        trial.add_unavailable(cell, "there is no tensor or array in the arguments, so nothing was moved")
    else:
        trial.add(*result)
