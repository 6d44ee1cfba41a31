"""The same verdict without pytest: calls a function several times and compares what it gives."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from pytest_repro.core.plan import Plan, asked
from pytest_repro.core.run import Outcome
from pytest_repro.core.verdict import NotReproducible, Verdict
from pytest_repro.engine.pin import Pin
from pytest_repro.engine.trial import Trial, as_run


def check(
    fn: Callable[..., Any],
    *args: Any,
    runs: int = 2,
    seed: int = 0,
    rtol: float | None = None,
    atol: float | None = None,
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
        **axes: ``deterministic=True | "warn" | False``: deterministic algorithms.

    Returns:
        The :class:`Verdict`; an exception that *fn* raises in each call is its ``error``.

    Raises:
        ValueError: An argument does not fit; the message names it.
        TypeError: Something that *fn* returned cannot be compared.
    """
    if not callable(fn):
        raise TypeError(f"check takes a function to call, not {type(fn).__qualname__}: check(train, 3)")
    plan = asked(Plan(), {"runs": runs, "seed": seed, "rtol": rtol, "atol": atol, **axes})
    trial = Trial(plan)
    error: BaseException | None = None
    try:
        with Pin(plan.seed, plan.deterministic) as pin:
            while len(trial.runs) < plan.runs:
                error = _run(trial, pin, fn, args) or error
                if not pin.complete:  # a library was imported: its generators were not seeded
                    trial.forget()
        verdict = trial.verdict()
    finally:
        trial.close()
    return verdict if error is None else _with_error(verdict, error)


def _run(trial: Trial, pin: Pin, fn: Callable[..., Any], args: Any) -> BaseException | None:
    pin.seed()
    recording, error, start = trial.recording(), None, perf_counter()
    result = None
    try:
        result = fn(*args)
    except Exception as raised:
        error = raised
    if result is not None:
        recording.record("result", result)
    seconds = perf_counter() - start
    outcome: Outcome = "passed" if error is None else "failed"
    trial.add(as_run(len(trial.runs), outcome, seconds, recording, error), recording)
    return error


def _with_error(verdict: Verdict, error: BaseException) -> Verdict:
    from dataclasses import replace

    return replace(verdict, error=error)


def assert_reproducible(
    fn: Callable[..., Any],
    *args: Any,
    runs: int = 2,
    seed: int = 0,
    rtol: float | None = None,
    atol: float | None = None,
    **axes: Any,
) -> Verdict:
    """As :func:`check`, but raises when the calls differ.

    Raises:
        NotReproducible: The calls differ, or *fn* returned nothing to compare.
        Exception: What *fn* itself raised, when it did so in each call.
        ValueError: An argument does not fit.
        TypeError: Something that *fn* returned cannot be compared.
    """
    from pytest_repro.reports.text import failure

    verdict = check(fn, *args, runs=runs, seed=seed, rtol=rtol, atol=atol, **axes)
    if verdict.word == "failed" and verdict.error is not None:
        raise verdict.error
    if verdict.word in ("diverged", "unobserved"):
        name = f"{fn.__module__}.{getattr(fn, '__qualname__', type(fn).__qualname__)}"
        raise NotReproducible(failure(name, verdict), verdict) from verdict.error
    return verdict
