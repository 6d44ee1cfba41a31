"""Fits of one estimator to the same data: again, as a clone, with other threads, in another interpreter."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import replace
from functools import partial
from importlib import import_module
from time import perf_counter
from typing import Any

from pytest_repro.adapters import digest, seed_all
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.plan import Cell, Plan, default_tolerance
from pytest_repro.engine.check.remote_call import call_in_companions
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.engine.runs.run_source import make_run, run_until_settled
from pytest_repro.engine.runs.trial import Trial

METHODS = ("predict", "predict_proba", "decision_function", "score_samples", "transform")
"""Methods whose results on the data of the fit are compared, if an estimator has them."""


def fit_estimator(estimator: Any, X: Any, y: Any, fit_params: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Fits *estimator* to copies of the data, with every global generator seeded with *seed*.

    Returns:
        The estimator as ``model``, and the result of each of :data:`METHODS` that it has.
    """
    import_module("sklearn")  # whose adapter reads the estimator, in another interpreter as well
    seed_all(seed)
    data, target, named = deepcopy((X, y, dict(fit_params)))
    estimator.fit(data, **named) if y is None else estimator.fit(data, target, **named)
    seed_all(seed)
    found = {name: getattr(estimator, name) for name in METHODS if hasattr(estimator, name)}
    return {"model": estimator, **{name: method(deepcopy(X)) for name, method in found.items()}}


_MAX_FITS = 4  # fits that are equal where two could be by chance: threads may finish in the same order
_REFIT, _CLONE = Cell("refit", 1), Cell("clone", 1)
_RESULT = "result"  # what another interpreter calls the value of a function


class Fits:
    """Fits of *estimator*, the first of which is the reference.

    Attributes:
        estimator: Not fitted itself.
    """

    def __init__(self, plan: Plan, estimator: Any, X: Any, y: Any, fit_params: Mapping[str, Any]) -> None:
        from pytest_repro.adapters.frameworks._parts import sklearn_parameters

        self.parameters, self.estimator, self.data = sklearn_parameters, estimator, (X, y, fit_params)
        self._plan, self._trial, self._pin = plan, Trial(plan), Pin(plan.seed, deterministic=True)
        self._count = 0

    def __enter__(self) -> Fits:
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            self._pin.release()
        finally:
            self._trial.close()

    def compare(self, refit: bool, clone: bool, threads: Sequence[int]) -> None:
        """Makes the fits; the keywords are those of the assertion."""
        first = self.parameters.clone(self.estimator)
        if self._plan.vary:
            _check_pickles(self.estimator, self.data)
        run_until_settled(partial(self._fit_reference, first), lambda _: self._pin.is_settled)
        if refit:
            self._add(_REFIT, first)
        if clone:
            self._add(_CLONE, self.parameters.clone(self.estimator))
        for number in threads:
            self._fit_with_threads(Cell("threads", number), number)
        args = (self.parameters.clone(self.estimator), *self.data, self._next_seed())
        call_in_companions(self._trial, fit_estimator, args)

    def _fit_reference(self, model: Any) -> None:
        self._trial.reset()
        self._count = 0
        self._add(Cell(), model)

    def _fit_with_threads(self, cell: Cell, number: int) -> None:
        for each in (cell, cell.as_repeat()):
            model = self.parameters.copy_with_threads(self.estimator, number)
            self._add(each, model, self.parameters.thread_limit(number))
            if not self._trial.differs(cell) or any(map(self._trial.differs, (_REFIT, _CLONE))):
                break

    def _add(self, cell: Cell, model: Any, context: AbstractContextManager[None] | None = None) -> None:
        start, trial = perf_counter(), self._trial
        self._pin.seed()
        recording = self._new_recording(cell)
        with context or nullcontext():
            recording.record(_RESULT, fit_estimator(model, *self.data, self._next_seed()))
        trial.add(make_run(cell, "passed", perf_counter() - start, recording, None), recording)

    def _new_recording(self, cell: Cell) -> Recording:
        base = self._trial.reference
        if cell.axis != "threads" or base is None or self._plan.tolerance is not None:
            return self._trial.new_recording(cell)
        return Recording(self._trial.store, default_tolerance, base.recording, True)

    def _next_seed(self) -> int:
        """A seed of its own for each fit: what draws from a global generator differs."""
        self._count += 1
        return (self._plan.seed + self._count - 1) % 2**32

    def compute_verdict(self) -> Verdict:
        """The verdict; mismatches are named ``model.coef_``, those of the model first."""
        verdict = self._trial.compute_verdict()
        renamed = sorted(map(_rename, verdict.mismatches), key=lambda mismatch: mismatch.series != "model")
        return replace(verdict, mismatches=tuple(renamed))

    def differs(
        self,
        parameters: dict[str, object],
        same_seed: bool = False,
        refit: bool = False,
        threads: int | None = None,
    ) -> bool:
        """Whether fits with other *parameters* differ, of clones or of one object; all are made if not."""
        base, first, model = self.estimator, "", None
        if threads is not None:
            base = self.parameters.copy_with_threads(base, threads)
        for _ in range(_MAX_FITS):
            self._pin.seed()
            seed = self._plan.seed if same_seed else self._next_seed()
            if model is None or not refit:
                model = self.parameters.copy_with(base, parameters)
            with nullcontext() if threads is None else self.parameters.thread_limit(threads):
                found = digest(fit_estimator(model, *self.data, seed))
            if first and found != first:
                return True
            first = found
        return False


def _check_pickles(estimator: Any, data: Any) -> None:
    if type(estimator).__module__ == "__main__":
        why = (
            f"{type(estimator).__qualname__} is defined in __main__, which another interpreter cannot import"
        )
        raise ValueError(f"process=True: {why}: move it to a module, or pass process=False")
    for name, value in zip(("estimator", "X", "y", "fit_params"), (estimator, *data)):
        try:
            pickle.dumps(value)
        except Exception as error:
            why = f"{name} does not pickle ({error}), so no other interpreter can fit it"
            raise ValueError(f"process=True: {why}: pass process=False") from None


def _rename(mismatch: Mismatch) -> Mismatch:
    """``result['model'].coef_`` as ``model.coef_``."""
    name, _, path = mismatch.path.removeprefix("['").partition("']")
    if mismatch.series != _RESULT or not name:
        return mismatch
    return replace(mismatch, name=f"{name}{path}", series=name, path=path)
