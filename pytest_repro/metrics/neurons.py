"""Whether two networks are equal up to the order of their hidden units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_repro.metrics._arguments import check_bool, check_integer
from pytest_repro.metrics._arrays import check_numbers


@dataclass(frozen=True, slots=True)
class Matching:
    """For each hidden unit of one network the most similar unit of another.

    Attributes:
        correlations: For each unit of the first its correlation with its partner, -1 … 1; NaN where
            it has none.
        partners: Which unit of the second that is, counted from 0; -1 where it has none.
        mean: Mean of the correlations.
        baseline: Mean best correlation with units of the second in a random basis.
        excess: ``mean - baseline``.
        constant: Units of either that are constant over the samples, which correlate with nothing.
        samples: Number of samples.
    """

    correlations: tuple[float, ...]
    partners: tuple[int, ...]
    mean: float
    baseline: float
    excess: float
    constant: tuple[tuple[int, ...], tuple[int, ...]]
    samples: int

    @property
    def one_to_one(self) -> bool:
        """Whether no two units have the same partner."""
        found = [each for each in self.partners if each >= 0]
        return len(found) == len(set(found))

    def __str__(self) -> str:
        still = len(self.constant[0]) + len(self.constant[1])
        constant = [_format_count(still, "constant unit")] if still else []
        return (
            f"best match {self.mean:.3f}, random basis {self.baseline:.3f}, excess {self.excess:+.3f} "
            f"({', '.join([_format_count(len(self.partners), 'unit'), f'{self.samples} samples', *constant])})"
        )


def _format_count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def match_neurons(
    a: object, b: object, *, one_to_one: bool = False, rotations: int = 5, seed: int = 0
) -> Matching:
    """Matches hidden units by how their activations correlate over the same samples.

    ``mean over i of max over j of ρ(a_i, b_j)``, less the same with *b* in a random basis: excess
    correlation as of Gurnee et al. (Universal Neurons in GPT2 Language Models, TMLR 2024), who
    multiply *b* by a Gaussian matrix. Here it is an orthogonal one, drawn uniformly (Mezzadri, How to
    generate random matrices from the classical compact groups, Notices of the AMS 54, 2007), and the
    mean over several. Networks that are equal up to the order of their units have mean 1; those that
    share a space but no units have an excess near 0. Units that are constant are left out.

    Args:
        a: Activations of shape (samples, units), three samples or more; any real dtype.
        b: Activations for the same samples in the same order, of shape (samples, units of b).
        one_to_one: Whether each unit of *b* is the partner of one unit at most, such that the sum of
            the correlations is largest; the baseline likewise. Needs scipy.
        rotations: Number of random bases; each costs as much as the matching itself.
        seed: Of the bases; no global generator is moved.

    Raises:
        TypeError: *a* or *b* hold no real numbers, or *one_to_one* is no bool.
        ValueError: They have other shapes, different numbers of samples, fewer than three, a NaN or
            infinity, or only constant units; or *b* has one other, in which there is no random basis.
        ImportError: *one_to_one* is asked, and scipy is not installed.
    """
    one_to_one = check_bool("one_to_one", one_to_one)
    left, right = check_numbers("a", a, "samples, units"), check_numbers("b", b, "samples, units")
    if len(left) != len(right) or len(left) < 3:
        raise ValueError(
            f"a has shape {left.shape}, b has {right.shape}: expected 3 samples or more, in both"
        )
    x, y = _standardize("a", left), _standardize("b", right)
    if y.any(axis=0).sum() < 2:  # whose only basis is itself
        raise ValueError("b has one unit that is not constant over the samples: expected 2 or more")
    partners, found = _find_partners(x, y, one_to_one)
    rng = np.random.default_rng(check_integer("seed", seed, 0))
    bases = []
    for _ in range(check_integer("rotations", rotations, 1)):
        turned = _standardize("b", right @ _draw_rotation(right.shape[1], rng))
        bases.append(float(np.nanmean(_find_partners(x, turned, one_to_one)[1])))
    mean, baseline = float(np.nanmean(found)), float(np.mean(bases))
    return Matching(
        tuple(found.tolist()), tuple(partners.tolist()), mean, baseline, mean - baseline,
        (_find_constant_units(x), _find_constant_units(y)), len(x),
    )  # fmt: skip


def _standardize(name: str, activations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each unit with mean 0 and length 1, so that products are correlations; 0 where it is constant."""
    # Divided by their size first: squares of 1e200 would be infinite, and the mean of equal numbers is
    # off by rounding, that of ones is not.
    size = np.abs(activations).max(axis=0)
    scaled = activations / np.where(size > 0, size, 1)
    centred = scaled - scaled.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    moves = length > 0
    if not moves.any():
        raise ValueError(
            f"{name} holds only units that are constant over the samples: expected some that are not"
        )
    found: NDArray[np.float64] = np.where(moves, centred / np.where(moves, length, 1), 0)
    return found


def _find_constant_units(standard: NDArray[np.float64]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.flatnonzero(~standard.any(axis=0)))


_Partners = tuple[NDArray[np.intp], NDArray[np.float64]]


def _find_partners(x: NDArray[np.float64], y: NDArray[np.float64], one_to_one: bool) -> _Partners:
    """For each unit of *x* its partner in *y*, -1 for none, and their correlation, NaN for none."""
    rows, columns = (np.flatnonzero(each.any(axis=0)) for each in (x, y))
    correlations = np.clip(x[:, rows].T @ y[:, columns], -1, 1)
    chosen, partner = _assign_one_to_one(correlations) if one_to_one else _assign_best(correlations)
    partners, found = np.full(x.shape[1], -1), np.full(x.shape[1], np.nan)
    partners[rows[chosen]] = columns[partner]
    found[rows[chosen]] = correlations[chosen, partner]
    return partners, found


def _assign_best(correlations: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.arange(len(correlations)), correlations.argmax(axis=1)


def _assign_one_to_one(correlations: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and their columns, each column once; with more rows than columns some rows are missing."""
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise ImportError("one_to_one=True needs scipy: pip install 'pytest-repro[stats]'") from error
    rows, columns = linear_sum_assignment(correlations, maximize=True)
    return rows, columns


def _draw_rotation(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A random orthogonal matrix, uniform: QR of a Gaussian one, the signs of R's diagonal taken out."""
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    turned: NDArray[np.float64] = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return turned
