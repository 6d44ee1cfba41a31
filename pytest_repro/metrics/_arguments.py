"""Checks plain arguments and formats numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Real
from statistics import fmean, stdev


def check_real(name: str, value: object) -> float:
    """*value* as a float; a 0-d array or tensor counts as its number."""
    plain = getattr(value, "item", None)
    if callable(plain) and getattr(value, "shape", ()) == ():
        value = plain()
    if isinstance(value, Real):
        return float(value)
    raise TypeError(f"{name} is a {type(value).__qualname__}: expected a number")


def check_fraction(name: str, value: object) -> float:
    """*value* as a float between 0 and 1, both excluded."""
    number = check_real(name, value)
    if 0 < number < 1:
        return number
    raise ValueError(f"{name}={number:g}: expected a number between 0 and 1, neither included")


def check_bool(name: str, value: object) -> bool:
    """*value* as a bool; no other type counts, as every non-empty text is true."""
    if isinstance(value, bool) or type(value).__name__ == "bool":  # numpy's has the same name
        return bool(value)
    raise TypeError(f"{name} is a {type(value).__qualname__}: expected True or False")


def check_integer(name: str, value: object, minimum: int) -> int:
    """*value* as an integer of at least *minimum*; a bool does not count."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} is a {type(value).__qualname__}: expected an integer")
    number = int(value.__index__())
    if number < minimum:
        raise ValueError(f"{name}={number}: expected at least {minimum}")
    return number


def check_seed_values(name: str, values: object) -> dict[int, float]:
    """A mapping of seeds to numbers, sorted by seed."""
    if not isinstance(values, Mapping):
        raise TypeError(f"{name} is a {type(values).__qualname__}: expected a mapping of seed to value")
    seeds = [check_integer(f"a seed of {name}", seed, 0) for seed in values]
    numbers = [check_real(f"{name}[{seed}]", value) for seed, value in values.items()]
    return dict(sorted(zip(seeds, numbers)))


def check_finite_seed_values(name: str, values: object) -> dict[int, float]:
    """As :func:`check_seed_values`, of two or more finite numbers."""
    checked = check_seed_values(name, values)
    for seed, value in checked.items():
        if not math.isfinite(value):
            raise ValueError(f"{name}[{seed}]={value}: expected finite numbers")
    if len(checked) < 2:
        raise ValueError(f"{name} holds {len(checked)}: expected at least 2")
    return checked


def compute_mean_and_std(values: list[float]) -> tuple[float, float]:
    """Mean and standard deviation (``ddof=1``) of two or more finite values."""
    # In exact arithmetic: with floats, three times 0.1 would have a std of 1.7e-17, and outliers.
    try:
        return fmean(values), stdev(values)
    except OverflowError:  # near the largest float
        return 1e3 * fmean(each / 1e3 for each in values), 1e3 * stdev(each / 1e3 for each in values)


def format_percent(value: float) -> str:
    """``0.095`` as ``"9.5 %"``, to three digits."""
    return f"{100 * value:.3g} %"


def format_seeds(items: Iterable[int]) -> str:
    """``seed 7``, ``seeds 7, 9``."""
    every = list(items)
    return f"seed{'s' * (len(every) != 1)} {format_list(every)}"


def format_list(items: Iterable[object], limit: int = 10) -> str:
    """The first *limit* of *items*, separated by commas, and the number of the others."""
    every = [str(each) for each in items]
    more = f", and {len(every) - limit} more" if len(every) > limit else ""
    return ", ".join(every[:limit]) + more
