"""How a headline value over seeds compares with that of an earlier sweep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ShiftSide = Literal["lower", "upper", "both"]
"""Which shift counts: ``lower`` of a value that must not fall, ``upper`` of one that must not rise."""

_SIDES = {"lower": "smaller is worse", "upper": "larger is worse", "both": "two-sided"}


@dataclass(frozen=True, slots=True)
class SweepComparison:
    """Whether a headline value over seeds has shifted; numbers in the unit of the values.

    Attributes:
        n: Number of seeds.
        mean: Trimmed mean.
        std: Standard deviation of all values, ``ddof=1``.
        reference_n: Number of seeds of the reference.
        reference_mean: Its trimmed mean.
        reference_std: Its standard deviation.
        shift: ``mean - reference_mean``.
        side: Which shift counts.
        p: Probability of such a shift, or a larger one, if nothing had changed.
        alpha: The p up to which the shift is significant.
        detectable: Smallest true shift that is found significant with the probability *power* by these
            numbers of seeds.
        seeds_needed: Number of seeds, in either sweep, that find a true shift as large as this one
            significant with the probability *power*; None if there is no shift.
        power: Probability of finding a true shift.
    """

    n: int
    mean: float
    std: float
    reference_n: int
    reference_mean: float
    reference_std: float
    shift: float
    side: ShiftSide
    p: float
    alpha: float
    detectable: float
    seeds_needed: int | None
    power: float

    @property
    def significant(self) -> bool:
        """Whether the value has shifted to a side that counts."""
        return self.p <= self.alpha

    @property
    def improved(self) -> bool:
        """Whether the value has shifted to the side that does not count, as far as the other would."""
        return self.side != "both" and 1 - self.p <= self.alpha

    def describe_test(self) -> str:
        """``shift -0.042, p 1.2e-09 (one-sided, smaller is worse)``."""
        side = "" if self.side == "both" else "one-sided, "
        level = f", significant up to {self.alpha:.2g}"
        return f"shift {self.shift:.3g}, p {self.p:.2g} ({side}{_SIDES[self.side]}{level})"

    def describe_power(self) -> str:
        """``shifts from 0.0098 on are found in 80 % of sweeps; one of 0.042 needs 3 seeds``."""
        found = f"shifts from {self.detectable:.2g} on are found in {100 * self.power:.3g} % of sweeps"
        if self.seeds_needed is None:
            return found
        return f"{found}; one of {abs(self.shift):.2g} needs {self.seeds_needed:,} seeds"

    def __str__(self) -> str:
        word = "shifted" if self.significant else "improved" if self.improved else "no significant shift"
        here = f"trimmed mean {self.mean:.4g} (n {self.n}, std {self.std:.3g})"
        there = f"reference {self.reference_mean:.4g} (n {self.reference_n}, std {self.reference_std:.3g})"
        return f"{word}: {here}, {there}; {self.describe_test()}; {self.describe_power()}"
