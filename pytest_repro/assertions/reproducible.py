"""Raises if a function is not reproducible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from unittest import SkipTest

from pytest_repro.core.compare.verdict import NotReproducible, Verdict
from pytest_repro.core.plan.plan import Deterministic, Level
from pytest_repro.engine.check.check import Diagnose, check_call
from pytest_repro.engine.runs.current_run import note_assertion
from pytest_repro.reports.failure.runs import describe_unavailable
from pytest_repro.reports.failure.text import format_failure, format_lost_runs


def assert_reproducible(
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
    """As :func:`check`, with the same arguments, but raises if the calls differ.

    Raises:
        NotReproducible: The calls differ, *fn* returned nothing to compare, or another interpreter failed.
        unittest.SkipTest: Of an axis no value, or none but the reference, is available on this machine.
        Exception: Whatever *fn* raised, if it did so in each call.
        ValueError: An argument does not fit.
        TypeError: *fn* is not callable, or something that it returned cannot be compared.
    """
    __tracebackhide__ = True
    pinned = {"runs": runs, "seed": seed, "deterministic": deterministic}
    compared = {"rtol": rtol, "atol": atol, "level": level}
    varied = {"alignment": alignment, "device": device, "dtype": dtype, "isa": isa, "machine": machine}
    more = {"memory": memory, "order": order, "process": process, "stress": stress, "threads": threads}
    verdict = check_call(fn, args, diagnose, {**pinned, **compared, **varied, **more}, axes)
    _raise_unless_reproduced(f"{fn.__module__}.{getattr(fn, '__qualname__', type(fn).__qualname__)}", verdict)
    note_assertion("reproducible")
    return verdict


def _raise_unless_reproduced(name: str, verdict: Verdict) -> None:
    __tracebackhide__ = True
    if verdict.outcome == "failed" and verdict.error is not None:
        raise verdict.error
    if verdict.outcome in ("diverged", "unobserved"):
        raise NotReproducible(format_failure(name, verdict), verdict) from verdict.error
    if verdict.outcome == "failed":
        raise NotReproducible(format_lost_runs(name, verdict), verdict)
    if verdict.outcome == "skipped":  # a skip under pytest, an error of its own elsewhere
        raise SkipTest(f"nothing was compared: {describe_unavailable(verdict)}")
