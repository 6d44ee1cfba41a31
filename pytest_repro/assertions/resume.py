"""Whether a training that was stopped, saved and loaded goes on as one that was not.

The one that goes on is a program started anew: every generator is seeded as at the start, the state is
made, then loaded. Where it differs from training straight, what can be seen of its state is put back as
it was when training stopped: what it takes to be equal is what the checkpoint lacks. For example::

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

A network with dropout fails that: ``save`` keeps no state of torch's generator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pytest_repro.assertions.resumed_training import ResumeExperiment
from pytest_repro.core.compare.verdict import NotReproducible, Verdict
from pytest_repro.core.plan.plan import Deterministic, Plan, override_plan


def assert_resumable(
    train: Callable[[Any, int], Any],
    save: Callable[[Any], Any],
    load: Callable[[Any, Any], Any],
    *,
    make: Callable[[], Any],
    at: int,
    steps: int | None = None,
    seed: int = 0,
    deterministic: Deterministic = True,
    rtol: float | None = None,
    atol: float | None = None,
) -> Verdict:
    """Trains straight; stops, saves, loads and goes on; compares, and names what the checkpoint lacks.

    Compared are the values that *train* gives after the stop, and, at the end, what was learnt: modules,
    optimisers, all that has a ``state_dict``, tensors and arrays. An example:
    :mod:`pytest_repro.assertions.resume`.

    Args:
        train: Trains a state on by a number of steps (batches, epochs). May give a value, or a list or
            generator of them, as many for each step.
        save: Gives a checkpoint of a state; or writes one, and gives None.
        load: Puts a checkpoint into a state that was just made; what it returns is ignored.
        make: Makes the state: a dict, tuple or object of all that training goes on with.
        at: Number of steps after which is stopped, 1 or more.
        steps: Number of steps in all, more than *at*; by default twice as many.
        seed: Given to every generator before a state is made, 0 … 2**32 - 1.
        deterministic: Deterministic algorithms meanwhile: True, ``"warn"`` or False.
        rtol: Relative tolerance; together with *atol*. None asks equal bits.
        atol: Absolute tolerance, in the unit of the values.

    Raises:
        NotReproducible: They differ; the message names what is missing. Or training straight differs
            from one time to the next already; or nothing was there to compare.
        ValueError: An argument does not fit.
        TypeError: One is no function, or the checkpoint cannot be copied.
    """
    for name, given in {"train": train, "save": save, "load": load, "make": make}.items():
        if not callable(given):
            raise TypeError(f"{name}: expected a function, not {type(given).__qualname__}")
    total = _check_steps(at, steps)
    asks = {"seed": seed, "deterministic": deterministic, "rtol": rtol, "atol": atol}
    plan = override_plan(Plan(), asks)
    with ResumeExperiment(plan, train, save, load, make, at, total) as lives:
        return _judge(lives, getattr(train, "__qualname__", type(train).__qualname__), at, total)


def _check_steps(at: int, steps: int | None) -> int:
    if isinstance(at, bool) or not isinstance(at, int) or at < 1:
        raise ValueError(f"at={at!r}: expected a number of steps, 1 or more")
    total = 2 * at if steps is None else steps
    if isinstance(total, bool) or not isinstance(total, int) or total <= at:
        raise ValueError(f"steps={steps!r}: expected a number of steps, more than at={at}")
    return total


def _judge(experiment: ResumeExperiment, name: str, at: int, steps: int) -> Verdict:
    from pytest_repro.reports.failure import resume as told

    if not experiment.run_reference():
        raise NotReproducible(
            told.format_no_observation(name), replace(experiment.make_verdict(()), outcome="unobserved")
        )
    if again := experiment.rerun_reference():
        raise NotReproducible(
            told.format_not_reproducible(name, again[0], experiment.first_compared),
            experiment.make_verdict(again),
        )
    found = experiment.resume()
    verdict = experiment.make_verdict(found)
    if found:
        text = told.format_failure(
            name, at, steps, verdict, experiment.find_missing(), experiment.load_result
        )
        raise NotReproducible(text, verdict)
    return verdict
