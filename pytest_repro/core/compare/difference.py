"""How far two arrays are apart."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_repro.core.runs.token_sequence import TokenDivergence


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two arrays of one shape are apart; distances in the unit of the values.

    Attributes:
        differing: Number of elements whose bits differ.
        total: Number of elements.
        outside_tolerance: Number of elements further apart than the tolerance; *differing* if that is zero.
        max_abs: Largest ``|other - reference|`` over the finite pairs; None if there are none.
        max_rel: Largest ``|other - reference| / |reference|`` where the reference is not 0.
        max_ulp: Largest distance in representable numbers of the dtype (units in the last place); None for
            integers, for text and across dtypes.
        first_index: Index of the first differing element in C order.
        first_values: Reference and other value at *first_index*, as text.
        non_finite: Number of differing elements with a NaN or an infinity on either side.
        ulp_counts: Number of the other differing elements by the bits of their distance in ulp: 0, 1, 2 to 3,
            4 to 7, …; a complex element counts by the larger of its parts. Empty if not requested.
        token_divergence: For token sequences: their tokens at *first_index*.
    """

    differing: int
    total: int
    outside_tolerance: int
    max_abs: float | None = None
    max_rel: float | None = None
    max_ulp: int | None = None
    first_index: tuple[int, ...] | None = None
    first_values: tuple[str, str] | None = None
    non_finite: int = 0
    ulp_counts: tuple[int, ...] = ()
    token_divergence: TokenDivergence | None = None

    @property
    def share(self) -> float:
        """Share of differing elements, 0 to 1."""
        return self.differing / self.total if self.total else 0.0
