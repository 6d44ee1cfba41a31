"""How a headline value over seeds compares with that of an earlier sweep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ShiftSide = Literal["lower", "upper", "both"]
"""Which shift counts: ``lower`` of a value that must not fall, ``upper`` of one that must not rise."""

_SIDES = {"lower": "one-sided: smaller is worse", "upper": "one-sided: larger is worse", "both": "two-sided"}


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
        power: Probability of finding a true shift.
        seeds_needed: Number of seeds, in either sweep, that find a true shift as large as this one
            significant with the probability *power*; None if there is no shift.
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
    power: float
    seeds_needed: int | None = None

    @property
    def significant(self) -> bool:
        """Whether the value has shifted to a side that counts."""
        return self.p <= self.alpha

    @property
    def improved(self) -> bool:
        """Whether the value has shifted to the side that does not count, as far as the other would."""
        return self.side != "both" and 1 - self.p <= self.alpha

    def describe_means(self) -> str:
        """``trimmed mean 0.913 (n 20, std 0.011) in the golden file, 0.871 (n 20, std 0.012) here``."""
        there = f"{self.reference_mean:.6g} (n {self.reference_n}, std {self.reference_std:.3g})"
        here = f"{self.mean:.6g} (n {self.n}, std {self.std:.3g})"
        return f"trimmed mean {there} in the golden file, {here} here"

    def describe_test(self) -> str:
        """``shift -0.042, p 1.2e-09 (one-sided: smaller is worse; significant up to 0.05)``."""
        side = f"{_SIDES[self.side]}; significant up to {self.alpha:.2g}"
        return f"shift {self.shift:.3g}, p {self.p:.2g} ({side})"

    def describe_power(self) -> str:
        """``this many seeds find a shift of 0.0098 in 80 % of sweeps; 3 seeds find one of 0.042``."""
        found = f"this many seeds find a shift of {self.detectable:.2g} in {100 * self.power:.3g} % of sweeps"
        if self.seeds_needed is None:
            return found
        return f"{found}; {self.seeds_needed:,} seeds find one of {abs(self.shift):.2g}"

    def __str__(self) -> str:
        word = "shifted" if self.significant else "improved" if self.improved else "no significant shift"
        here = f"trimmed mean {self.mean:.4g} (n {self.n}, std {self.std:.3g})"
        there = f"reference {self.reference_mean:.4g} (n {self.reference_n}, std {self.reference_std:.3g})"
        return f"{word}: {here}, {there}; {self.describe_test()}; {self.describe_power()}"
