"""scipy: stored entries of sparse values, distributions, engines, interpolators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("scipy")

from hypothesis import given
from hypothesis import strategies as st
from scipy import interpolate, optimize, sparse, stats
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation
from scipy.stats import qmc

from pytest_repro import digest
from pytest_repro.adapters import flatten
from pytest_repro.core.runs.pytree import iter_leaves
from tests.conftest import Project

FORMATS = ["csr", "csc", "coo", "bsr", "dia", "dok", "lil"]
DENSE: Any = np.array([[0.0, 1.5, 0.0], [2.0, 0.0, -0.0], [0.0, 0.0, 3.0]])
X: Any = np.arange(6.0)


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("name", FORMATS)
def test_formats_and_values_count(name: str, kind: str) -> None:
    make = getattr(sparse, f"{name}_{kind}")
    changed = DENSE.copy()
    changed[2, 2] = np.nextafter(3, 4)
    assert digest(make(DENSE)) == digest(make(DENSE.copy())) != digest(make(changed))
    assert digest(make((3, 3))) != digest(make((3, 4)))
    others = {digest(getattr(sparse, f"{each}_{kind}")(DENSE)) for each in FORMATS}
    assert len(others) == len(FORMATS)
    assert digest(make(DENSE)) != digest(make(DENSE.astype("f4")))


Entry = tuple[int, int, float]
ENTRIES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 4), st.floats(width=32)),
    max_size=12,
    unique_by=lambda entry: entry[:2],
)


@given(ENTRIES, st.randoms(use_true_random=False))
def test_the_order_of_entries_is_layout(entries: list[Entry], random: Any) -> None:
    def make(ordered: list[Entry]) -> Any:
        rows, columns, values = zip(*ordered) if ordered else ((), (), ())
        indices = (np.array(rows, int), np.array(columns, int))
        return sparse.coo_matrix((np.array(values, float), indices), shape=(4, 5))

    shuffled = random.sample(entries, len(entries))
    first, second = make(entries), make(shuffled)
    assert digest(first) == digest(second)
    assert digest(first.tocsr()) == digest(second.tocsr())


def test_layout_of_compressed_formats_does_not_count() -> None:
    matrix = sparse.csr_matrix(DENSE)
    unsorted = sparse.csr_matrix(([7.0, 5.0], [2, 0], [0, 2, 2, 2]), shape=(3, 3))
    ordered = sparse.csr_matrix(([5.0, 7.0], [0, 2], [0, 2, 2, 2]), shape=(3, 3))
    wide = sparse.csr_matrix(DENSE)
    wide.indices, wide.indptr = wide.indices.astype("i8"), wide.indptr.astype("i8")
    spare = sparse.csr_matrix(DENSE)
    spare.data, spare.indices = np.append(spare.data, 9.0), np.append(spare.indices, 0)
    assert digest(unsorted) == digest(ordered)
    assert digest(wide) == digest(matrix) == digest(spare)


def test_explicit_zeros_and_duplicates_count() -> None:
    matrix = sparse.csr_matrix(DENSE)
    zero = sparse.csr_matrix(([1.5, 2.0, 0.0, 3.0], [1, 0, 1, 2], [0, 1, 3, 4]), shape=(3, 3))
    double = sparse.csr_matrix(([1.0, 0.5, 2.0, 3.0], [1, 1, 0, 2], [0, 2, 3, 4]), shape=(3, 3))
    assert len({digest(each) for each in (matrix, zero, double)}) == 3


def test_diagonals_outside_of_the_matrix_do_not_count() -> None:
    first = sparse.dia_matrix(([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [0, 1]), shape=(3, 3))
    second = sparse.dia_matrix(([[99.0, 5.0, 6.0], [1.0, 2.0, 3.0]], [1, 0]), shape=(3, 3))
    assert digest(first) == digest(second)


def test_paths_of_sparse_values() -> None:
    matrix = sparse.csr_matrix(DENSE)
    assert [path for path, *_ in iter_leaves(matrix, "m", flatten)] == [".indptr", ".indices", ".data"]


def make_normal(seed: int) -> Any:
    normal = stats.norm(0, 1)
    normal.random_state = np.random.default_rng(seed)
    return normal


MAKERS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "norm": (lambda: stats.norm(0, 1), lambda: stats.norm(0, 2)),
    "keywords": (lambda: stats.norm(scale=2), lambda: stats.norm(2)),
    "generator": (lambda: make_normal(1), lambda: make_normal(2)),
    "names": (lambda: stats.poisson(3), lambda: stats.geom(0.5)),
    "matrix": (lambda: stats.multivariate_normal([0, 0]), lambda: stats.multivariate_normal([0, 1])),
    "Sobol": (lambda: qmc.Sobol(2, seed=1), lambda: qmc.Sobol(2, seed=2)),
    "Halton": (lambda: qmc.Halton(2, seed=1), lambda: qmc.Halton(2, seed=1).fast_forward(1)),
    "spline": (lambda: interpolate.CubicSpline(X, X**2), lambda: interpolate.CubicSpline(X, X**3)),
    "interp1d": (lambda: interpolate.interp1d(X, X), lambda: interpolate.interp1d(X, X, kind="nearest")),
    "kde": (lambda: stats.gaussian_kde(X), lambda: stats.gaussian_kde(X, 0.3)),
    "tree": (lambda: KDTree(X[:, None]), lambda: KDTree(X[:, None], leafsize=3)),
    "rotation": (
        lambda: Rotation.from_quat([0, 0, 0, 1]),
        lambda: Rotation.from_quat([0, 0, 1, 0]),
    ),
    "result": (lambda: optimize.minimize_scalar(abs), lambda: optimize.minimize_scalar(lambda x: abs(x - 1))),
}


@pytest.mark.parametrize("name", MAKERS)
def test_equal_objects_have_equal_digests(name: str) -> None:
    make, make_other = MAKERS[name]
    assert digest(make()) == digest(make()) != digest(make_other())


class Own(stats.rv_continuous):  # type: ignore[misc]
    def _pdf(self, x: Any) -> Any:
        return 0 * x + 1


def test_own_distributions_are_refused() -> None:
    with pytest.raises(TypeError, match=r"value is a distribution of the class .*\.Own: record its"):
        digest(Own(a=0, b=1)())


def test_unseeded_draws_are_found(project: Project) -> None:
    result = project(
        """
        from scipy import stats
        from scipy.stats import qmc
        def test_engine(repro):
            engine = qmc.Sobol(2)
            repro.record(points=engine.random(4), engine=engine)
        def test_rvs(repro):
            repro.record(x=stats.norm(0, 1).rvs(3))
        """,
        "--repro-unseeded=warn",
        "--repro-diagnose=always",
        "-W",
        "ignore",
    )
    assert result.verdicts == {"test_engine": "diverged", "test_rvs": "reproduced"}
    engine, rvs = result.report["tests"]
    assert (engine["cause"]["name"], engine["cause"]["location"]) == ("os-entropy", "test_it.py:4")
    assert {"points", "engine._sv"} <= {each["name"] for each in engine["mismatches"]}
    assert rvs["unseeded"][0]["location"] == "test_it.py:7"
