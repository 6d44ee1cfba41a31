"""Checks the arguments that make a plan: keywords of the marker and of ``check``, values of options."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # every start of pytest imports this module
    from pytest_repro.core.plan.plan import Plan, Tolerance

MAX_SEED = 2**32 - 1
"""The largest seed that every library accepts: ``numpy.random.seed`` refuses larger ones."""

MAX_SEEDS = 100_000
"""Most seeds of a sweep: a larger number is probably a date, or a seed that was meant for another option."""


class BadArgument(ValueError):
    """An invalid argument; the message has its name, ``""`` without one, its value and what is allowed."""

    def __init__(self, name: str, value: object, allowed: str) -> None:
        super().__init__(f"{name}={value!r}: {allowed}" if name else f"{value!r}: {allowed}")
        self.name = name
        self.value = value
        self.allowed = allowed


def describe_unknown(name: str, allowed: Sequence[str]) -> str:
    """What is *allowed*, and which of them *name* resembles: ``"unknown (did you mean runs?); …"``."""
    from difflib import get_close_matches

    alike = get_close_matches(name, allowed, 1)
    meant = f" (did you mean {alike[0]}?)" if alike else ""
    return f"unknown{meant}; allowed are {', '.join(allowed)}"


def _validate_int(name: str, low: int, high: float, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    limits = f"{low} or more" if high == math.inf else f"{low} to {high}"
    raise BadArgument(name, value, f"a whole number, {limits}")


def _validate_choice(name: str, choices: Sequence[bool | str], allowed: str, value: object) -> Any:
    if any(value is choice or (isinstance(choice, str) and value == choice) for choice in choices):
        return value  # 1 is not True
    raise BadArgument(name, value, allowed)


# Each returns the valid value, or raises BadArgument.
validate_runs = partial(_validate_int, "runs", 1, math.inf)
validate_seed = partial(_validate_int, "seed", 0, MAX_SEED)
validate_capture = partial(
    _validate_choice,
    "capture",
    ("auto", "recorded", "locals", "strict"),
    'one of "auto", "recorded", "locals", "strict"',
)
validate_deterministic = partial(
    _validate_choice, "deterministic", (True, False, "warn"), 'True, False or "warn"'
)

validate_unseeded = partial(
    _validate_choice, "unseeded", ("allow", "warn", "fail"), 'one of "allow", "warn", "fail"'
)


def validate_seeds(value: object) -> tuple[int, ...]:
    """*value* as the seeds of a sweep, without duplicates.

    Raises:
        BadArgument: It is neither a number of seeds nor a list, tuple or range of seeds, or has too many.
    """
    many = range(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(many, range) and len(many) > MAX_SEEDS:
        raise BadArgument("seeds", value, f"at most {MAX_SEEDS:,} of them")
    if isinstance(many, (list, tuple, range)) and (many or value == 0):
        with suppress(BadArgument):
            return tuple(dict.fromkeys(map(validate_seed, many)))
    allowed = "a number of seeds (20: 0 to 19), or a tuple of them, each 0 to 4294967295"
    raise BadArgument("seeds", value, allowed)


def validate_tolerance(rtol: object, atol: object) -> Tolerance | None:
    """The tolerance of *rtol* and *atol*; None if both are None.

    Raises:
        BadArgument: One is missing, not a number, negative, infinite or NaN.
    """
    if rtol is None and atol is None:
        return None
    from pytest_repro.core.plan.plan import Tolerance

    if rtol is None or atol is None:
        name, value = ("rtol", rtol) if atol is None else ("atol", atol)
        raise BadArgument(name, value, "rtol and atol belong together: give both or none")
    for name, value in (("rtol", rtol), ("atol", atol)):
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
    "ranks": partial(_validate_int, "ranks", 1, math.inf),
    "level": partial(
        _validate_choice, "level", ("bitwise", "process", "outcome"), 'one of "bitwise", "process", "outcome"'
    ),
    "seeds": validate_seeds,
    "unseeded": validate_unseeded,
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
