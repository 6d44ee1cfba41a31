"""Measures how far a change of one ulp in the input moves the result."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from pytest_repro.adapters import find_array_adapter
from pytest_repro.core.blocks import unravel_index
from pytest_repro.core.plan.arguments import override_plan
from pytest_repro.core.plan.plan import Cell, Plan
from pytest_repro.engine.runs.current_run import choose_seed
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.engine.runs.run_source import make_run
from pytest_repro.engine.runs.trial import Trial


@dataclass(frozen=True, slots=True)
class Instability:
    """The effect of moving one input element by a few ulps.

    Attributes:
        repeatable: Whether two calls on the unchanged input were equal. If not, the result differs
            without any rounding, and the other fields say nothing.
        perturbation: Distance that the element was moved, in the unit of the input.
        max_abs: Largest change of the result, in its unit.
        amplification: ``max_abs / perturbation``, the absolute condition number of the call along this
            element (Higham, Accuracy and Stability of Numerical Algorithms, 2002, 1.6).
        first_step: Index of the first step that differs, if *fn* returns a series; None if none does.
        steps: Number of steps.
    """

    repeatable: bool
    perturbation: float
    max_abs: float
    amplification: float
    first_step: int | None
    steps: int

    def __str__(self) -> str:
        if not self.repeatable:
            return "not repeatable: two unchanged calls return different results, which is not rounding"
        if self.first_step is None:
            return f"stable: moved by {self.perturbation:.3g}, and no bit of the result changed"
        start = f", from step {self.first_step} of {self.steps} on" if self.steps > 1 else ""
        change = f"the result by {self.max_abs:.3g}{start}: × {self.amplification:.3g}"
        return f"moved by {self.perturbation:.3g}, {change}"


def probe_instability(
    fn: Callable[[Any], Any], tensor: Any, ulps: int = 1, index: int | None = None, seed: int | None = None
) -> Instability:
    """Calls ``fn(tensor)`` twice unchanged and once with one element moved by *ulps*.

    Distinguishes chaos from randomness: a training that amplifies one ulp a thousandfold differs between
    machines however well it is seeded.

    Args:
        fn: Returns a value, or a list of values, one for each step (the losses of a training).
        tensor: A floating-point tensor or array of any shape; *fn* gets copies.
        ulps: Number of representable numbers to move by, away from zero; not 0.
        index: Index of the element in C order; by default the largest in magnitude.
        seed: Seed of every generator before each call; by default that of the test, else 0.

    Raises:
        TypeError: *tensor* is not a floating-point tensor or array, or *fn* returns what cannot be compared.
        ValueError: *tensor* is empty, *ulps* is 0, *index* is out of range, or the element is not finite
            before or after the move.
    """
    perturbed, distance = _perturb(tensor, ulps, index)
    plan = override_plan(Plan(runs=3), {"seed": choose_seed(seed)})
    with closing(Trial(plan)) as trial:
        with Pin(plan.seed) as pin:
            inputs = enumerate((tensor, tensor, perturbed))
            steps = [_run(trial, pin, number, fn, value) for number, value in inputs]
        mismatches = trial.compute_verdict().mismatches
    changes = [each for each in mismatches if each.value == 2]
    # Infinite if the shape changed or the result is not finite any more.
    distances = (each.difference.max_abs if each.difference is not None else None for each in changes)
    max_abs = max((math.inf if far is None else far for far in distances), default=0.0)
    return Instability(
        repeatable=len(changes) == len(mismatches),
        perturbation=distance,
        max_abs=max_abs,
        amplification=max_abs / distance,
        first_step=min((each.step for each in changes), default=None),
        steps=steps[0],
    )


def _run(trial: Trial, pin: Pin, number: int, fn: Callable[[Any], Any], argument: Any) -> int:
    """Calls *fn* once; returns the number of steps."""
    pin.seed()
    result, cell = fn(_copy(argument)[0]), Cell(value=number)
    steps = list(result) if isinstance(result, (list, tuple)) else [result]
    recording = trial.new_recording(cell)
    for value in steps:
        recording.record("step", value)
    trial.add(make_run(cell, "passed", 0.0, recording, None), recording)
    return len(steps)


def _copy(value: Any) -> tuple[Any, Any]:
    """A copy, and its memory as integers of the same shape."""
    adapter = find_array_adapter(value)
    copy = None if adapter is None else adapter.copy_array(value)
    words = None if adapter is None else adapter.view_as_integers(copy)
    if words is None:
        raise TypeError(f"tensor: expected a floating-point tensor or array, not {type(value).__qualname__}")
    return copy, words


def _perturb(value: Any, ulps: int, index: int | None) -> tuple[Any, float]:
    """A copy with one element moved, and the distance."""
    moved, words = _copy(value)
    if ulps == 0:
        raise ValueError("ulps=0: expected a number of ulps other than 0")
    count = math.prod(moved.shape)
    number = int(abs(moved).argmax()) if index is None and count else index or 0
    if not -count <= number < count:
        raise ValueError(f"index={number}: the tensor has {count} elements")
    position = unravel_index(number % count, moved.shape)
    before = moved[position].item()
    words[position] = _add_ulps(int(words[position]), ulps, 8 * words.itemsize)
    after = moved[position].item()
    if not math.isfinite(after):
        reason = f"{before:g} is not finite, or no finite number is {ulps} ulps further"
        raise ValueError(f"index={number}: {reason}")
    return moved, abs(after - before)


def _add_ulps(word: int, ulps: int, bits: int) -> int:
    """The bits of the number that is *ulps* further from zero than that of *word*.

    Floating-point numbers are sign and magnitude, and the bits of the magnitude count up from zero. A
    negative magnitude lies on the other side of zero.
    """
    sign = 1 << (bits - 1)
    negative, magnitude = word < 0, (word & (sign - 1)) + ulps
    if magnitude < 0:
        negative, magnitude = not negative, -magnitude
    magnitude = min(magnitude, sign - 1)  # a NaN
    return magnitude - sign if negative else magnitude
