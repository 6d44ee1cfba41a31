"""Matches the hidden units of two networks, which may be equal up to the order of their units."""

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
        correlations: For each unit of the first network the correlation with its partner, -1 … 1; NaN
            without a partner.
        partners: The unit of the second network, from 0; -1 for no partner.
        mean: Mean of the correlations.
        baseline: Mean best correlation with units of the second network in a random basis.
        excess: ``mean - baseline``.
        constant: Units of each network that are constant over the samples: they have no correlation.
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
        partners = [unit for unit in self.partners if unit >= 0]
        return len(partners) == len(set(partners))

    def __str__(self) -> str:
        constant = len(self.constant[0]) + len(self.constant[1])
        counts = f"{_format_count(len(self.partners), 'unit')}, {self.samples} samples"
        counts += f", {_format_count(constant, 'constant unit')}" if constant else ""
        means = f"best match {self.mean:.3f}, random basis {self.baseline:.3f}, excess {self.excess:+.3f}"
        return f"{means} ({counts})"


def _format_count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def match_neurons(
    a: object, b: object, *, one_to_one: bool = False, rotations: int = 5, seed: int = 0
) -> Matching:
    """Matches hidden units by the correlation of their activations over the same samples.

    ``mean over i of max over j of ρ(a_i, b_j)``, minus the same with *b* in a random basis: the excess
    correlation of Gurnee et al. (Universal Neurons in GPT2 Language Models, TMLR 2024), who multiply
    *b* by a Gaussian matrix. Here it is a uniformly drawn orthogonal matrix (Mezzadri, How to generate
    random matrices from the classical compact groups, Notices of the AMS 54, 2007), and the mean over
    several. Networks that are equal up to the order of their units have mean 1; those that share a
    space but no units have an excess near 0. Constant units are left out.

    Args:
        a: Activations of shape (samples, units), three samples or more; any real dtype.
        b: Activations of shape (samples, units of b), for the same samples in the same order.
        one_to_one: Whether each unit of *b* is the partner of at most one unit, with the largest sum of
            correlations; also for the baseline. Needs scipy.
        rotations: Number of random bases; each costs as much as the matching itself.
        seed: Seed of the bases; no global generator is moved.

    Raises:
        TypeError: *a* or *b* does not hold real numbers, or *one_to_one* is not a bool.
        ValueError: A shape does not fit, there are fewer than three samples, a value is not finite, *a*
            has only constant units, or *b* has fewer than two others.
        ImportError: *one_to_one* is set and scipy is not installed.
    """
    one_to_one = check_bool("one_to_one", one_to_one)
    left, right = check_numbers("a", a, "samples, units"), check_numbers("b", b, "samples, units")
    if len(left) != len(right) or len(left) < 3:
        shapes = f"a has shape {left.shape}, b has {right.shape}"
        raise ValueError(f"{shapes}: expected 3 samples or more, the same number in both")
    x, y = _standardize("a", left), _standardize("b", right)
    if y.any(axis=0).sum() < 2:  # one unit has no other basis
        raise ValueError("b has one unit that is not constant over the samples: expected 2 or more")
    partners, correlations = _find_partners(x, y, one_to_one)
    rng = np.random.default_rng(check_integer("seed", seed, 0))
    means = []
    for _ in range(check_integer("rotations", rotations, 1)):
        rotated = _standardize("b", right @ _draw_rotation(right.shape[1], rng))
        means.append(float(np.nanmean(_find_partners(x, rotated, one_to_one)[1])))
    mean, baseline = float(np.nanmean(correlations)), float(np.mean(means))
    one, two = (tuple(np.flatnonzero(~each.any(axis=0)).tolist()) for each in (x, y))
    matches = tuple(correlations.tolist()), tuple(partners.tolist())
    return Matching(*matches, mean, baseline, mean - baseline, (one, two), len(x))


def _standardize(name: str, activations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each unit with mean 0 and length 1, so that products are correlations; 0 if constant."""
    # Scaled first: squares of 1e200 are infinite, and the mean of equal numbers is inexact, that of ones not.
    size = np.abs(activations).max(axis=0)
    scaled = activations / np.where(size > 0, size, 1)
    centred = scaled - scaled.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    varies = length > 0
    if not varies.any():
        raise ValueError(f"{name} has only units that are constant over the samples: expected some others")
    standard: NDArray[np.float64] = np.where(varies, centred / np.where(varies, length, 1), 0)
    return standard


def _find_partners(
    x: NDArray[np.float64], y: NDArray[np.float64], one_to_one: bool
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """For each unit of *x* its partner in *y*, -1 for none, and the correlation, NaN for none."""
    rows, columns = (np.flatnonzero(each.any(axis=0)) for each in (x, y))
    correlations = np.clip(x[:, rows].T @ y[:, columns], -1, 1)
    if one_to_one:
        chosen, partner = _assign_one_to_one(correlations)
    else:
        chosen, partner = np.arange(len(rows)), correlations.argmax(axis=1)
    partners, best = np.full(x.shape[1], -1), np.full(x.shape[1], np.nan)
    partners[rows[chosen]] = columns[partner]
    best[rows[chosen]] = correlations[chosen, partner]
    return partners, best


def _assign_one_to_one(correlations: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and their columns, each column once; with more rows than columns some are missing."""
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise ImportError("one_to_one=True needs scipy: pip install 'pytest-repro[stats]'") from error
    rows, columns = linear_sum_assignment(correlations, maximize=True)
    return rows, columns


def _draw_rotation(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A uniform random orthogonal matrix: Q of a Gaussian matrix, with R's diagonal made positive."""
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    rotation: NDArray[np.float64] = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return rotation
