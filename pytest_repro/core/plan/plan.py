"""What is requested of one test, and the cells that follow: the values of all axes in each run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple

# torch.testing.assert_close's defaults, https://pytorch.org/docs/stable/testing.html
_DEFAULT_TOLERANCES = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
    "longdouble": (1e-7, 1e-7),
    "complex32": (1e-3, 1e-5),
    "complex64": (1.3e-6, 1e-5),
    "complex128": (1e-7, 1e-7),
}


class Tolerance(NamedTuple):
    """``|other - reference| <= atol + rtol * |reference|``, as in ``torch.testing.assert_close``."""

    rtol: float  # a pure number
    atol: float  # in the unit of the values

    @property
    def exact(self) -> bool:
        """Whether only equal values are within it."""
        return self.rtol == 0 and self.atol == 0


EXACT = Tolerance(0.0, 0.0)

ToleranceFunction = Callable[..., Tolerance]
"""Called with the names of the dtypes of two values, returns their tolerance."""


def exact_tolerance(*dtypes: str) -> Tolerance:
    """Equal values, for all dtypes."""
    return EXACT


def default_tolerance(*dtypes: str) -> Tolerance:
    """The tolerance of ``torch.testing`` for the coarsest of *dtypes*.

    Integers and bools are compared exactly, as in ``torch.testing``. It has no default for 8-bit floats: they
    get one step of their 3- or 2-bit fraction.
    """
    eighths = [Tolerance(0.25 if "e5m2" in name else 0.125, 1e-5) for name in dtypes if "float8" in name]
    others = [Tolerance(*_DEFAULT_TOLERANCES[name]) for name in dtypes if name in _DEFAULT_TOLERANCES]
    return max(eighths + others, key=lambda tolerance: tolerance.rtol, default=EXACT)


Capture = Literal["auto", "recorded", "locals", "strict"]
Deterministic = bool | Literal["warn"]
Unseeded = Literal["allow", "warn", "fail"]
Level = Literal["bitwise", "process", "outcome"]

LEVELS: tuple[Level, ...] = ("bitwise", "process", "outcome")
"""Levels of reproducibility, the strictest first: runs that agree at one level agree at the following ones.

- ``bitwise``: all observed values are equal: weights, gradients, optimiser states, everything.
- ``process``: all steps of recorded numbers, texts and predictions are equal.
- ``outcome``: the last steps of these are equal.

An array of floats of one element, such as a loss of shape (1,), is a number. Predictions are arrays of
integers or bools of any shape but (). Values count if they are recorded directly or in dicts, lists and
tuples, and not if they are inside a module, an optimiser or another object. Equal means bit for bit, or
within the given tolerance.

Chen et al. (Towards Training Reproducible Deep Learning Models, ICSE 2022, https://arxiv.org/abs/2202.02326)
compare trainings by their weights, and also by their outcome, metrics and predictions, and by their process,
the losses during training.
"""

REPEAT = "repeat"
"""The axis of runs between which nothing is varied."""


class AxisValues(NamedTuple):
    """One axis of a plan."""

    axis: str  # its name, and keyword of the marker
    values: tuple[object, ...]  # the reference first; if it is the only one, nothing is varied
    remote: bool = False  # whether the other values need another interpreter
    close: bool = False  # whether values may differ by rounding if the plan has no tolerance
    mixed_dtypes: bool = False  # whether dtypes may differ between values


class Cell(NamedTuple):
    """The values of all axes in one run, at most one of which is not its reference."""

    axis: str = REPEAT  # what is varied; ``"repeat"`` if nothing is
    value: object = 0  # on that axis; for ``"repeat"`` the number of the run, from 0
    setting: Mapping[str, object] = {}  # axis → value, of every axis of the plan
    repeat_of: tuple[str, object] | None = None  # axis and value that a run other than the reference repeats

    def as_repeat(self) -> Cell:
        """A repeat of this cell."""
        return Cell(REPEAT, 1, self.setting, (self.axis, self.value))


def make_reference_cell(vary: tuple[AxisValues, ...], number: int) -> Cell:
    """Cell of the run *number* at the reference value of every axis."""
    return Cell(REPEAT, number, {axis.axis: axis.values[0] for axis in vary} if vary else {})


def iter_other_cells(vary: tuple[AxisValues, ...], remote: bool) -> Iterator[Cell]:
    """A cell for each value but the references, one axis at a time, so that a mismatch names its axis.

    *remote* selects the cells that need another interpreter, or those that do not.
    """
    reference = make_reference_cell(vary, 0).setting
    for axis in vary:
        if axis.remote is remote:
            for value in axis.values[1:]:
                yield Cell(axis.axis, value, {**reference, axis.axis: value})


class Plan(NamedTuple):
    """What is requested of one test."""

    runs: int = 2  # that are compared with each other; 1 compares nothing
    seed: int = 0  # of every generator, 0 to 2**32 - 1
    tolerance: Tolerance | None = None  # None: equal bits, or that of torch.testing where rounding may differ
    deterministic: Deterministic = True  # whether algorithms are deterministic during the test
    capture: Capture = "auto"  # what is observed: recorded values, local variables, or either
    audit: bool = False  # not marked, but included by --repro-all: observing nothing is then no failure
    vary: tuple[AxisValues, ...] = ()  # axes that are varied, one at a time
    baseline: bool = False  # whether what was observed is also compared with the golden file
    ranks: int = 0  # processes of each run, in one process group of torch; 0 for none
    level: Level | None = None  # what must be equal; None is "bitwise", without a report on levels
    unseeded: Unseeded = "allow"  # what follows if it draws from a global generator that it has not seeded
    seeds: tuple[int, ...] | None = None  # of a sweep, a run for each; () if it is off, None if not requested

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
