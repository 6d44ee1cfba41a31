"""What is requested of one test: number of runs, seed, tolerance, what to observe and what to vary."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from pytest_repro.core.plan.cell import REPEAT, AxisValues
from pytest_repro.core.plan.level import LEVELS, Level
from pytest_repro.core.plan.tolerance import Tolerance, ToleranceFunction, default_tolerance, exact_tolerance

MAX_SEED = 2**32 - 1
"""The largest seed that every library accepts: ``numpy.random.seed`` refuses larger ones."""

Capture = Literal["auto", "recorded", "locals"]
Deterministic = bool | Literal["warn"]

CAPTURES: tuple[str, ...] = ("auto", "recorded", "locals")


class BadArgument(ValueError):
    """An invalid argument; the message has its name, its value and what is allowed."""

    def __init__(self, name: str, value: object, allowed: str) -> None:
        super().__init__(f"{name}={value!r}: {allowed}")
        self.name = name
        self.value = value
        self.allowed = allowed


class Plan(NamedTuple):
    """What is requested of one test.

    Attributes:
        runs: Number of runs that are compared with each other; 1 compares nothing.
        seed: Seed of every generator, 0 to 2**32 - 1.
        tolerance: Tolerance between runs. None is equal bits or, on axes where rounding may differ, the
            default of ``torch.testing``.
        deterministic: Deterministic algorithms during the test: True, False, or ``"warn"``.
        capture: What is observed: recorded values, local variables, or either.
        audit: Whether the test is not marked, but included by ``--repro-all``; then observing nothing is
            reported, but no failure.
        vary: Axes that are varied, one at a time.
        baseline: Whether what was observed is also compared with the golden file.
        ranks: Number of processes of each run, in one process group of torch; 0 for none.
        level: What must be equal; None is ``"bitwise"``, without a report on levels.
        seeds: Seeds of a sweep, one run for each; empty if the sweep is off, None if none is requested.
    """

    runs: int = 2
    seed: int = 0
    tolerance: Tolerance | None = None
    deterministic: Deterministic = True
    capture: Capture = "auto"
    audit: bool = False
    vary: tuple[AxisValues, ...] = ()
    baseline: bool = False
    ranks: int = 0
    level: Level | None = None
    seeds: tuple[int, ...] | None = None

    def tolerance_for(self, axis: str = REPEAT) -> ToleranceFunction:
        """The tolerance between runs that differ on *axis*, by the dtypes of two values."""
        tolerance = self.tolerance
        if tolerance is not None:
            return lambda *dtypes: tolerance
        close = any(values.close for values in self.vary if values.axis == axis)
        return default_tolerance if close else exact_tolerance

    def mixes_dtypes(self, axis: str) -> bool:
        """Whether dtypes may differ between values of *axis*."""
        return any(values.mixed_dtypes for values in self.vary if values.axis == axis)


def _validate_int(name: str, low: int, high: int | None, value: object) -> int:
    allowed = f"a whole number, {low} or more" if high is None else f"a whole number, {low} to {high}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadArgument(name, value, allowed)
    if value < low or (high is not None and value > high):
        raise BadArgument(name, value, allowed)
    return value


def _validate_choice(name: str, choices: Sequence[bool | str], allowed: str, value: object) -> Any:
    if any(value is choice or (isinstance(choice, str) and value == choice) for choice in choices):
        return value  # 1 is not True
    raise BadArgument(name, value, allowed)


def validate_runs(value: object) -> int:
    """*value* as a number of runs.

    Raises:
        BadArgument: It is not a whole number of at least 1.
    """
    return _validate_int("runs", 1, None, value)


def validate_seed(value: object) -> int:
    """*value* as a seed.

    Raises:
        BadArgument: It is not a whole number from 0 to 2**32 - 1.
    """
    return _validate_int("seed", 0, MAX_SEED, value)


def validate_capture(value: object) -> Capture:
    """*value* as one of :data:`CAPTURES`.

    Raises:
        BadArgument: It is none of them.
    """
    allowed = 'one of "auto", "recorded", "locals"'
    return _validate_choice("capture", CAPTURES, allowed, value)  # type: ignore[no-any-return]


def validate_deterministic(value: object) -> Deterministic:
    """*value* as a mode of deterministic algorithms.

    Raises:
        BadArgument: It is neither a bool nor ``"warn"``.
    """
    modes = (True, False, "warn")
    return _validate_choice("deterministic", modes, 'True, False or "warn"', value)  # type: ignore[no-any-return]


MAX_SEEDS = 100_000
"""Most seeds of a sweep: a larger number is probably a date, or a seed that was meant for another option."""


def validate_seeds(value: object) -> tuple[int, ...]:
    """*value* as the seeds of a sweep, without duplicates.

    Raises:
        BadArgument: It is neither a number of seeds nor a list, tuple or range of seeds, or has too many.
    """
    many = range(value) if isinstance(value, int) and not isinstance(value, bool) else value
    try:
        if isinstance(many, range) and len(many) > MAX_SEEDS:
            raise BadArgument("seeds", value, f"at most {MAX_SEEDS:,} of them")
        if isinstance(many, (list, tuple, range)) and (many or value == 0):
            return tuple(dict.fromkeys(map(validate_seed, many)))
    except BadArgument as error:
        if error.name == "seeds":
            raise
    raise BadArgument(
        "seeds", value, "a number of seeds (20: 0 to 19), or a tuple of them, each 0 to 4294967295"
    )


def validate_tolerance(rtol: object, atol: object) -> Tolerance | None:
    """The tolerance of *rtol* and *atol*; None if both are None.

    Raises:
        BadArgument: One is missing, not a number, negative, infinite or NaN.
    """
    if rtol is None and atol is None:
        return None
    for name, value in (("rtol", rtol), ("atol", atol)):
        if value is None:
            raise BadArgument(name, value, "rtol and atol belong together: give both or none")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise BadArgument(name, value, "a number, 0 or more")
        if not (value >= 0 and math.isfinite(value)):
            raise BadArgument(name, value, "a finite number, 0 or more")
    return Tolerance(float(rtol), float(atol))  # type: ignore[arg-type]


_VALIDATORS: dict[str, Callable[[object], Any]] = {
    "runs": validate_runs,
    "seed": validate_seed,
    "capture": validate_capture,
    "deterministic": validate_deterministic,
    "baseline": partial(_validate_choice, "baseline", (True, False), "True or False"),
    "ranks": partial(_validate_int, "ranks", 1, None),
    "level": partial(_validate_choice, "level", LEVELS, 'one of "bitwise", "process", "outcome"'),
    "seeds": validate_seeds,
}

ARGUMENTS: tuple[str, ...] = (*_VALIDATORS, "rtol", "atol")
"""Keywords of the marker and of ``check`` that make a plan."""


def override_plan(plan: Plan, arguments: dict[str, Any]) -> Plan:
    """*plan* with the changes of *arguments*, which are any of :data:`ARGUMENTS`.

    Raises:
        BadArgument: A value is invalid.
    """
    changes: dict[str, Any] = {n: _VALIDATORS[n](v) for n, v in arguments.items() if n in _VALIDATORS}
    if "rtol" in arguments or "atol" in arguments:
        changes["tolerance"] = validate_tolerance(arguments.get("rtol"), arguments.get("atol"))
    return plan._replace(**changes)
