"""Raises if an estimator is not reproducible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_repro.assertions.estimator.fits import Fits
from pytest_repro.assertions.estimator.reasons import find_causes
from pytest_repro.axes import as_tuple, resolve_axes
from pytest_repro.core.compare.verdict import NotReproducible, Verdict
from pytest_repro.core.plan.arguments import BadArgument, override_plan
from pytest_repro.core.plan.plan import Plan
from pytest_repro.engine.runs.current_run import choose_seed, note_assertion
from pytest_repro.reports.failure.estimator import format_estimator_failure


def assert_estimator_reproducible(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    refit: bool = True,
    clone: bool = True,
    threads: Sequence[int] | int | None = (1, 2),
    process: bool = True,
    fit_params: Mapping[str, Any] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int | None = None,
) -> Verdict:
    """Fails if fitting *estimator* to the same data again gives another model.

    A clone is fitted and compared with further fits: parameters, fitted attributes, and what ``predict``,
    ``predict_proba``, ``decision_function``, ``score_samples`` and ``transform`` return for *X*. The global
    generators have another seed in each fit: an estimator that draws from them is not reproducible.

    Args:
        estimator: Follows the API of scikit-learn; it is not fitted itself.
        X, y: What ``fit`` takes, such as an array ``[samples, features]``; *y* is None if it needs none.
        refit: Whether to fit the same object again.
        clone: Whether to fit another clone.
        threads: Numbers of threads of OpenMP, BLAS and joblib to fit with; None for none.
        process: Whether to fit in another interpreter; the arguments must pickle.
        fit_params: Further arguments of ``fit``.
        rtol, atol: Tolerances, both or none. By default bits must be equal; with other numbers of threads
            values must be as close as ``torch.testing`` asks for.
        seed: Seed of the global generators in the first fit; by default that of the test, else 0.

    Returns:
        The :class:`Verdict`, with the axes ``refit``, ``clone``, ``threads`` and ``process``.

    Raises:
        NotReproducible: A fit differs. The message names the attribute, the largest difference, the reason.
        ValueError: An argument does not fit, or does not pickle for *process*.
        TypeError: *estimator* is no estimator, or holds something that cannot be compared.
    """
    __tracebackhide__ = True
    numbers = _read_threads(threads)
    _check_arguments(estimator, refit or clone or numbers or process)
    vary = resolve_axes({"process": True} if process else {})
    plan = override_plan(Plan(vary=vary), {"seed": choose_seed(seed), "rtol": rtol, "atol": atol})
    verdict = _compare_fits(Fits(plan, estimator, X, y, fit_params or {}), refit, clone, numbers)
    if verdict.outcome != "reproduced":
        raise NotReproducible(format_estimator_failure(type(estimator).__name__, verdict), verdict)
    note_assertion("estimator_reproducible")
    return verdict


def _compare_fits(fits: Fits, refit: bool, clone: bool, threads: Sequence[int]) -> Verdict:
    with fits:
        fits.compare(refit, clone, threads)
        verdict = fits.compute_verdict()
        return replace(verdict, causes=find_causes(fits, verdict)) if verdict.mismatches else verdict


def _check_arguments(estimator: Any, compares: object) -> None:
    if isinstance(estimator, type) or not (hasattr(estimator, "fit") and hasattr(estimator, "get_params")):
        what = (
            f"the class {estimator.__name__}" if isinstance(estimator, type) else type(estimator).__qualname__
        )
        raise TypeError(f"estimator: expected an object with fit() and get_params(), not {what}")
    if not compares:
        raise ValueError("refit, clone, threads and process are all off: nothing would be compared")


def _read_threads(threads: object) -> tuple[int, ...]:
    numbers = () if threads is None else as_tuple(threads)
    if any(isinstance(each, bool) or not isinstance(each, int) or each < 1 for each in numbers):
        raise BadArgument("threads", threads, "expected numbers of threads, 1 or more, or None")
    return tuple(dict.fromkeys(int(str(each)) for each in numbers))
