"""Raises if an estimator is not reproducible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_repro.assertions.estimator_fits import Fits, fit_estimator
from pytest_repro.axes import as_tuple, get_axis, resolve_axes
from pytest_repro.core.compare.verdict import NotReproducible, Verdict
from pytest_repro.core.diagnose import Finding
from pytest_repro.core.plan.arguments import BadArgument, override_plan
from pytest_repro.core.plan.plan import Plan
from pytest_repro.engine.check.check import check
from pytest_repro.engine.runs.current_run import choose_seed, note_assertion
from pytest_repro.metrics._arguments import format_list
from pytest_repro.reports.failure.assertions import format_estimator_failure

_MAX_TRIED = 8  # parameters that are tried one by one; of more, all are named
_FIX_MOVING = "pass an integer: each fit then begins with the same numbers"
_FIX_WARM = "pass warm_start=False, or refit=False to this assertion: a warm start is there to differ"
_WHY_CARRIED = "a second fit of the same object keeps something of the first, while clones are equal"
_FIX_CARRIED = "set every attribute that fit() uses at its beginning"
_WHY_GLOBAL = (
    "fit() draws from a global generator, whatever the parameters: fits with the same seed are equal"
)
_WHY_THREADS = "threads split a sum otherwise, or jobs draw other random numbers"
_FIX_THREADS = (
    "fix the number of threads (n_jobs, OMP_NUM_THREADS), or compare within a tolerance: rtol, atol"
)
_WHY_RACE = "fits with one thread are equal, those with more are not: threads do not finish in a fixed order"
_FIX_RACE = "use one thread (n_jobs=1, nthread=1), or another algorithm (xgboost: updater='coord_descent')"
_FIX_GLOBAL = "take random_state, and draw from sklearn.utils.check_random_state(random_state)"


def find_causes(fits: Fits, verdict: Verdict) -> tuple[Finding, ...]:
    """The cause of what differs; none if it is unknown."""
    axes = {mismatch.axis for mismatch in verdict.mismatches if mismatch.repeat_of is None}
    unstable = {mismatch.repeat_of[0] for mismatch in verdict.mismatches if mismatch.repeat_of is not None}
    ran = {run.axis for run in verdict.runs if run.state == "ran"}
    found = [*(_find_carried(fits) if axes == {"refit"} and "clone" in ran else _find_unseeded(fits))]
    if not found and axes & {"refit", "clone"}:
        found = [*_find_global_draws(fits)]
    if not found and not unstable and axes == {"process"}:
        found = [*_diagnose(fits, process=True)]
    if not found and not unstable and axes == {"threads"}:
        found = [_explain_threads(verdict)]
    return tuple(found)


def _find_unseeded(fits: Fits) -> Iterator[Finding]:
    """Parameters ``random_state=None`` that make two fits differ."""
    unseeded = fits.parameters.list_unseeded(fits.estimator)
    seeded: dict[str, object] = {each.path: 0 for each in unseeded}
    if not unseeded or not fits.differs({}) or fits.differs(seeded):
        return
    if 1 < len(unseeded) <= _MAX_TRIED:
        unseeded = [each for each in unseeded if fits.differs({**seeded, each.path: None})] or unseeded
    named = format_list([f"{each.path} ({each.owner})" for each in unseeded], _MAX_TRIED)
    verb = "is" if len(unseeded) == 1 else "are"
    why = f"{named} {verb} None: each fit draws other numbers from numpy's global generator"
    fix = ", ".join(_format_setting(each.path) for each in unseeded[:_MAX_TRIED])
    yield Finding("os-entropy", explanation=why, fix=f"pass an integer: {fix}")


def _format_setting(path: str) -> str:
    return f"{path} = 0" if "." in path else f"set_params({path}=0)"


def _find_carried(fits: Fits) -> Iterator[Finding]:
    """What one fit leaves behind for the next of the same object: generators, warm starts, attributes."""
    moving = fits.parameters.list_moving(fits.estimator)
    fixed: dict[str, object] = {each.path: 0 if each.name != "warm_start" else False for each in moving}
    if not moving or fits.differs(fixed, refit=True):
        yield Finding("shared-state", explanation=_WHY_CARRIED, fix=_FIX_CARRIED)
        return
    named = format_list([f"{each.path} ({each.owner})" for each in moving], _MAX_TRIED)
    why = f"a second fit of the same object begins where the first ended: {named}"
    warm = all(each.name == "warm_start" for each in moving)
    yield Finding("shared-state", explanation=why, fix=_FIX_WARM if warm else _FIX_MOVING)


def _find_global_draws(fits: Fits) -> Iterator[Finding]:
    """Draws from a global generator, else threads, else what a diagnosis of the fit finds."""
    if not fits.differs({}):
        return
    if not fits.differs({}, same_seed=True):
        yield Finding("os-entropy", explanation=_WHY_GLOBAL, fix=_FIX_GLOBAL)
        return
    if fits.differs({}, same_seed=True, threads=1):
        yield from _diagnose(fits)
    else:
        yield Finding("completion-order", explanation=_WHY_RACE, fix=_FIX_RACE)


def _diagnose(fits: Fits, process: bool = False) -> Sequence[Finding]:
    model: Any = fits.parameters.clone(fits.estimator)
    return check(_fit_clone, model, *fits.data, process=process).causes


def _fit_clone(model: Any, X: Any, y: Any, fit_params: Mapping[str, Any]) -> object:
    from pytest_repro.adapters.frameworks._parts.sklearn_parameters import clone

    return fit_estimator(clone(model), X, y, fit_params, 0)


def _explain_threads(verdict: Verdict) -> Finding:
    shown = get_axis("threads").format_value(verdict.mismatches[0].value)
    why = f"fits repeat with {shown} and differ from the first: {_WHY_THREADS}"
    return Finding("threads", explanation=why, fix=_FIX_THREADS)


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
