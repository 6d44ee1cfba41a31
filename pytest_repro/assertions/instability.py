"""How far one ulp carries: tells a computation that amplifies rounding from one that draws by itself."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.plan.cell import make_reference_cell
from pytest_repro.core.plan.plan import Plan, override_plan
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.engine.runs.trial import Trial, make_run

_INT_DTYPES = {2: "int16", 4: "int32", 8: "int64"}


@dataclass(frozen=True, slots=True)
class Instability:
    """What became of a change of a few ulps.

    Attributes:
        repeatable: Whether the unchanged call gave the same twice; if not, it draws by itself, and
            nothing here says anything about rounding.
        perturbation: How far the element was moved, in the unit of its values.
        max_abs: Largest change of the result, in the unit of its values.
        amplification: ``max_abs / moved``, the absolute condition number of the call along this
            element (Higham, Accuracy and Stability of Numerical Algorithms, 2002, 1.6).
        first_step: Index of the first step that differs, where *fn* gives a series; None: none does.
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
            return "not repeatable: the unchanged call gives something else each time, so it is no rounding"
        if self.first_step is None:
            return f"stable: moved by {self.perturbation:.3g}, and no bit of the result changed"
        at = f", from step {self.first_step} of {self.steps} on" if self.steps > 1 else ""
        return f"moved by {self.perturbation:.3g}, the result by {self.max_abs:.3g}{at}: × {self.amplification:.3g}"


def probe_instability(
    fn: Callable[[Any], Any], tensor: Any, ulps: int = 1, index: int | None = None, seed: int = 0
) -> Instability:
    """Calls ``fn(tensor)`` twice as it is, and once with one element moved by *ulps*.

    Args:
        fn: Gives a value, or a list of values, one for each step (the losses of a training).
        tensor: A floating tensor or array, of any shape; *fn* is given copies.
        ulps: How far to move, in representable numbers of its dtype, away from zero; not 0.
        index: Which element, counted in C order; by default the largest one.
        seed: Given to every generator before each call, 0 … 2**32 - 1.

    Returns:
        How far the result moved, and from which step on.

    Raises:
        TypeError: *tensor* is no floating tensor or array, or *fn* gives what cannot be compared.
        ValueError: It has no elements, *ulps* is 0, *index* is none of its elements, or the element is not
            finite there, or so far away.
    """
    moved_tensor, moved = _perturb(tensor, ulps, index)
    trial = Trial(override_plan(Plan(runs=3), {"seed": seed}))
    try:
        with Pin(seed) as pin:
            steps = [_run(trial, pin, n, fn, each) for n, each in enumerate((tensor, tensor, moved_tensor))]
        found = trial.compute_verdict().mismatches
    finally:
        trial.close()
    far = [each for each in found if each.value == 2]
    max_abs = max(map(_measure_change, far), default=0.0)
    return Instability(
        repeatable=all(each.value == 2 for each in found), perturbation=moved, max_abs=max_abs,
        amplification=max_abs / moved, first_step=min((each.step for each in far), default=None),
        steps=steps[0],
    )  # fmt: skip


def _run(trial: Trial, pin: Pin, number: int, fn: Callable[[Any], Any], argument: Any) -> int:
    """Calls *fn* once; gives the number of steps."""
    pin.seed()
    result, cell = fn(_copy(argument)), make_reference_cell((), number)
    steps = list(result) if isinstance(result, (list, tuple)) else [result]
    recording = trial.new_recording(cell)
    for value in steps:
        recording.record("step", value)
    trial.add(make_run(cell, "passed", 0.0, recording, None), recording)
    return len(steps)


def _copy(value: Any) -> Any:
    if not hasattr(value, "detach"):
        return value.copy()
    return value.detach().clone().requires_grad_(value.requires_grad)


def _measure_change(mismatch: Mismatch) -> float:
    """The largest change of a step; infinite where its shape changed, or it is no number any more."""
    far = mismatch.difference.max_abs if mismatch.difference is not None else None
    return float("inf") if far is None else far


def _perturb(value: Any, ulps: int, index: int | None) -> tuple[Any, float]:
    """A copy with one element moved, and how far."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    is_tensor = torch is not None and isinstance(value, torch.Tensor) and value.dtype.is_floating_point
    is_array = numpy is not None and isinstance(value, numpy.ndarray) and value.dtype.kind == "f"
    if not (is_tensor or is_array) or value.itemsize not in _INT_DTYPES:
        raise TypeError(f"tensor: a floating tensor or array can be moved, not {type(value).__qualname__}")
    if ulps == 0:
        raise ValueError("ulps=0: a number of ulps to move by, not 0")
    moved = _copy(value)
    flat = (moved.detach() if is_tensor else moved).reshape(-1)
    count = len(flat)
    at = int(abs(flat).argmax()) if index is None and count else index or 0
    if not -count <= at < count:
        raise ValueError(f"index={at}: the tensor has {count} elements")
    before = float(flat[at])
    word: Any = _INT_DTYPES[value.itemsize]
    kind = getattr(torch, word) if is_tensor else value.dtype.str.replace("f", "i")  # in its byte order
    words = flat.view(kind)
    words[at] = _add_ulps(int(words[at]), ulps, 8 * value.itemsize)
    if not math.isfinite(float(flat[at])):
        raise ValueError(f"index={at}: {before:g} is not finite, or no finite number is {ulps} ulps further")
    result = flat.reshape(value.shape)
    return result.requires_grad_(value.requires_grad) if is_tensor else result, abs(float(flat[at]) - before)


def _add_ulps(word: int, ulps: int, bits: int) -> int:
    """The bits of the number that is *ulps* further from zero than that of *word*.

    Floating point numbers are sign and magnitude, and the magnitude counts them up from zero. Less than
    none is as far on the other side.
    """
    sign = 1 << (bits - 1)
    negative, magnitude = word < 0, (word & (sign - 1)) + ulps
    if magnitude < 0:
        negative, magnitude = not negative, -magnitude
    magnitude = min(magnitude, sign - 1)  # a NaN
    return magnitude - sign if negative else magnitude
