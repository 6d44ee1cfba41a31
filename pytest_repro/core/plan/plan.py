"""What is asked of one test: how often, with which seed, how close, what is observed."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

from pytest_repro.core.plan.cell import REPEAT, AxisValues
from pytest_repro.core.plan.level import LEVELS, Level
from pytest_repro.core.plan.tolerance import Tolerance, ToleranceFunction, default_tolerance, exact_tolerance

MAX_SEED = 2**32 - 1
"""The largest seed that every library takes: ``numpy.random.seed`` refuses more."""

Capture = Literal["auto", "recorded", "locals"]
Deterministic = bool | Literal["warn"]

CAPTURES: tuple[str, ...] = ("auto", "recorded", "locals")


class BadArgument(ValueError):
    """An argument that does not fit: names it, what was given and what is allowed."""

    def __init__(self, name: str, value: object, allowed: str) -> None:
        super().__init__(f"{name}={value!r}: {allowed}")
        self.name = name
        self.value = value
        self.allowed = allowed


class Plan(NamedTuple):
    """What is asked of one test.

    Attributes:
        runs: Number of runs compared with each other; 1 compares nothing.
        seed: Given to every generator, 0 … 2**32 - 1.
        tolerance: Closeness asked; None asks equal bits, or on the axes where rounding may
            differ the closeness of ``torch.testing``.
        deterministic: Deterministic algorithms while the test runs: True, False, or ``"warn"``.
        capture: What is observed: what was recorded, local variables, or either.
        audit: Whether the test was not marked but taken along by ``--repro-all``; then
            observing nothing is told, not failed.
        vary: What is varied beside the repetition, one axis at a time.
        baseline: Whether what was observed is also compared with the golden file.
        ranks: Number of processes, one process group of torch, that each run is made in; 0: none.
        level: What must be equal; None is ``"bitwise"``, and nothing is told of levels.
        seeds: Of a sweep, one run for each; empty where it is switched off, None where none is asked.
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
        """How close runs must be that differ on *axis*, by the dtypes of two values."""
        asked = self.tolerance
        if asked is not None:
            return lambda *elements: asked
        close = any(each.close for each in self.vary if each.axis == axis)
        return default_tolerance if close else exact_tolerance

    def mixes_dtypes(self, axis: str) -> bool:
        """Whether dtypes may differ between values of *axis*."""
        return any(each.mixed_dtypes for each in self.vary if each.axis == axis)


def _validate_int(name: str, value: object, low: int, high: int | None) -> int:
    allowed = f"a whole number, {low} or more" if high is None else f"a whole number, {low} to {high}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadArgument(name, value, allowed)
    if value < low or (high is not None and value > high):
        raise BadArgument(name, value, allowed)
    return value


def validate_runs(value: object) -> int:
    """*value* as a number of runs.

    Raises:
        BadArgument: It is no whole number of at least 1.
    """
    return _validate_int("runs", value, 1, None)


def validate_seed(value: object) -> int:
    """*value* as a seed.

    Raises:
        BadArgument: It is no whole number from 0 to 2**32 - 1.
    """
    return _validate_int("seed", value, 0, MAX_SEED)


def validate_ranks(value: object) -> int:
    """*value* as a number of ranks.

    Raises:
        BadArgument: It is no whole number of at least 1.
    """
    return _validate_int("ranks", value, 1, None)


def validate_capture(value: object) -> Capture:
    """*value* as a way to observe.

    Raises:
        BadArgument: It is none of :data:`CAPTURES`.
    """
    if value not in CAPTURES:
        raise BadArgument("capture", value, 'one of "auto", "recorded", "locals"')
    return value  # type: ignore[return-value]


def validate_deterministic(value: object) -> Deterministic:
    """*value* as a mode of deterministic algorithms.

    Raises:
        BadArgument: It is neither a bool nor ``"warn"``.
    """
    if value is True or value is False or value == "warn":
        return value
    raise BadArgument("deterministic", value, 'True, False or "warn"')


def validate_baseline(value: object) -> bool:
    """*value* as whether there is a golden file.

    Raises:
        BadArgument: It is no bool.
    """
    if isinstance(value, bool):
        return value
    raise BadArgument("baseline", value, "True or False")


def validate_level(value: object) -> Level:
    """*value* as a level.

    Raises:
        BadArgument: It is none of :data:`LEVELS`.
    """
    if value not in LEVELS:
        raise BadArgument("level", value, 'one of "bitwise", "process", "outcome"')
    return value


MAX_SEEDS = 100_000
"""Of a sweep: more is a date or a seed that was meant for another option."""


def validate_seeds(value: object) -> tuple[int, ...]:
    """*value* as the seeds of a sweep, each of them once.

    Raises:
        BadArgument: It is neither a number of seeds nor a list, tuple or range of them, or too many.
    """
    many = range(value) if isinstance(value, int) and not isinstance(value, bool) else value
    try:
        if isinstance(many, range) and len(many) > MAX_SEEDS:
            raise BadArgument("seeds", value, f"at most {MAX_SEEDS:,} of them")
        if isinstance(many, (list, tuple, range)) and (many or value == 0):
            return tuple(dict.fromkeys(validate_seed(each) for each in many))
    except BadArgument as error:
        if error.name == "seeds":
            raise
    raise BadArgument(
        "seeds", value, "a number of seeds (20: 0 to 19), or a tuple of them, each 0 to 4294967295"
    )


def validate_tolerance(rtol: object, atol: object) -> Tolerance | None:
    """The tolerance of *rtol* and *atol*: both or none of them.

    Raises:
        BadArgument: One is missing, no number, negative, infinite or NaN.
    """
    if rtol is None and atol is None:
        return None
    for name, given in (("rtol", rtol), ("atol", atol)):
        if given is None:
            raise BadArgument(name, given, "rtol and atol belong together: give both or none")
        if isinstance(given, bool) or not isinstance(given, (int, float)):
            raise BadArgument(name, given, "a number, 0 or more")
        if not (given >= 0 and math.isfinite(given)):
            raise BadArgument(name, given, "a finite number, 0 or more")
    return Tolerance(float(rtol), float(atol))  # type: ignore[arg-type]


_VALIDATORS = {
    "runs": validate_runs,
    "seed": validate_seed,
    "capture": validate_capture,
    "deterministic": validate_deterministic,
    "baseline": validate_baseline,
    "ranks": validate_ranks,
    "level": validate_level,
    "seeds": validate_seeds,
}

ARGUMENTS: tuple[str, ...] = (*_VALIDATORS, "rtol", "atol")
"""The names a plan is asked by, in the marker and in ``check``."""


def override_plan(plan: Plan, arguments: dict[str, Any]) -> Plan:
    """*plan* with what *arguments* ask instead.

    Args:
        plan: What holds where nothing else is asked.
        arguments: Any of :data:`ARGUMENTS`.

    Raises:
        BadArgument: A value does not fit.
    """
    changes: dict[str, Any] = {n: _VALIDATORS[n](v) for n, v in arguments.items() if n in _VALIDATORS}
    if "rtol" in arguments or "atol" in arguments:
        changes["tolerance"] = validate_tolerance(arguments.get("rtol"), arguments.get("atol"))
    return plan._replace(**changes)
