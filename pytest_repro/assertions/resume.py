"""Checks that a training that is stopped, saved and loaded continues as one that is not stopped.

Loading happens as in a new program: every generator is seeded as at the start, the state is made, then
loaded. If training then differs, the visible state is set to what it was at the stop, part by part: the
parts that make it equal are what the checkpoint lacks. For example::

    def make():
        model = Net()
        return {"model": model, "optimizer": torch.optim.Adam(model.parameters())}

    def train(state, steps):
        return [step(**state) for _ in range(steps)]  # the losses

    def save(state):
        return {name: part.state_dict() for name, part in state.items()}

    def load(state, checkpoint):
        for name, part in state.items():
            part.load_state_dict(checkpoint[name])

    assert_resumable(train, save, load, make=make, at=3)

A network with dropout fails that: ``save`` does not keep the state of torch's generator.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

from pytest_repro.assertions.resumed_training import Training
from pytest_repro.core.compare.verdict import NotReproducible, Verdict
from pytest_repro.core.plan.arguments import override_plan
from pytest_repro.core.plan.plan import Deterministic, Plan
from pytest_repro.engine.runs.current_run import choose_seed, get_current_run, record_in_run
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.reports.failure import assertions as report


def assert_resumable(
    train: Callable[[Any, int], Any],
    save: Callable[[Any], Any],
    load: Callable[[Any, Any], Any],
    *,
    make: Callable[[], Any],
    at: int,
    steps: int | None = None,
    seed: int | None = None,
    deterministic: Deterministic | None = None,
    rtol: float | None = None,
    atol: float | None = None,
) -> Verdict:
    """Fails if a training that is stopped, saved and loaded differs from an uninterrupted one.

    Compares the values that *train* returns after the stop and, at the end, all modules, optimizers,
    tensors, arrays and objects with a ``state_dict``. The failure names what the checkpoint lacks. Recorded
    in a marked test, as ``resumable``. Example: :mod:`pytest_repro.assertions.resume`.

    Args:
        train: Trains a state for some steps. May return a value, or a list or generator of values.
        save: Returns a checkpoint of a state; or writes one and returns None.
        load: Loads a checkpoint into a newly made state; its result is ignored.
        make: Makes the state: a dict, tuple or object of everything that training continues with.
        at: Number of steps before the stop, 1 or more.
        steps: Number of steps in all, more than *at*; by default twice *at*.
        seed: Seed of every generator before a state is made; by default that of the test, else 0.
        deterministic: True, ``"warn"`` or False; by default as in the test, else True.
        rtol: Relative tolerance; together with *atol*. By default bits must be equal.
        atol: Absolute tolerance, in the unit of the values.

    Raises:
        NotReproducible: The trainings differ, two uninterrupted ones already do, or nothing was compared.
        ValueError: An argument does not fit.
        TypeError: *train*, *save*, *load* or *make* is not a function, or the checkpoint cannot be copied.
    """
    __tracebackhide__ = True
    for name, function in {"train": train, "save": save, "load": load, "make": make}.items():
        if not callable(function):
            raise TypeError(f"{name}: expected a function, not {type(function).__qualname__}")
    total = _check_steps(at, steps)
    if deterministic is None:
        deterministic = run.spec.deterministic if (run := get_current_run()) is not None else True
    arguments = {"seed": choose_seed(seed), "deterministic": deterministic, "rtol": rtol, "atol": atol}
    plan = override_plan(Plan(), arguments)
    with Pin(plan.seed, plan.deterministic) as pin, closing(Trial(plan)) as trial:
        training = Training(trial, pin, train, save, load, make, at, total)
        verdict = _judge(training, getattr(train, "__qualname__", type(train).__qualname__))
    record_in_run("resumable", True)
    return verdict


def _check_steps(at: int, steps: int | None) -> int:
    if isinstance(at, bool) or not isinstance(at, int) or at < 1:
        raise ValueError(f"at={at!r}: expected a number of steps, 1 or more")
    total = 2 * at if steps is None else steps
    if isinstance(total, bool) or not isinstance(total, int) or total <= at:
        raise ValueError(f"steps={steps!r}: expected a number of steps, more than at={at}")
    return total


def _judge(training: Training, name: str) -> Verdict:
    __tracebackhide__ = True
    reference = training.run_reference()
    if not len(reference):
        raise NotReproducible(report.format_no_observation(name), training.compare(reference))
    again = training.compare(training.train())
    if again.mismatches:
        text = report.format_not_reproducible(name, again.mismatches[0], training.first_compared)
        raise NotReproducible(text, again)
    verdict = training.resume()
    if verdict.mismatches:
        missing, at, steps = training.find_missing(), training.stop_step, training.steps
        text = report.format_resume_failure(name, at, steps, verdict, missing, training.load_result)
        raise NotReproducible(text, replace(verdict, causes=report.find_resume_causes(missing)))
    return verdict
