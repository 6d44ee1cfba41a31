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

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from typing import Any

from pytest_repro.assertions.training_state import MissingState, find_changes, flatten_recordable, state_parts
from pytest_repro.core.compare.verdict import NotReproducible, Verdict
from pytest_repro.core.plan.arguments import override_plan
from pytest_repro.core.plan.plan import Cell, Deterministic, Plan
from pytest_repro.engine.runs.current_run import choose_seed, get_current_run, record_in_run
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.engine.runs.run_source import make_run
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.reports.failure import assertions as report

_MAX_ATTEMPTS = 3


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
    for name, function in {"train": train, "save": save, "load": load, "make": make}.items():
        if not callable(function):
            raise TypeError(f"{name}: expected a function, not {type(function).__qualname__}")
    total = _check_steps(at, steps)
    if deterministic is None:
        run = get_current_run()
        deterministic = run.spec.deterministic if run is not None else True
    arguments = {"seed": choose_seed(seed), "deterministic": deterministic, "rtol": rtol, "atol": atol}
    plan = override_plan(Plan(), arguments)
    with Pin(plan.seed, plan.deterministic) as pin, closing(Trial(plan)) as trial:
        training = _Training(trial, pin, train, save, load, make, at, total)
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


def _judge(training: _Training, name: str) -> Verdict:
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
        raise NotReproducible(text, verdict)
    return verdict


class _Training:
    """A training that can be run uninterrupted, or resumed with chosen parts restored.

    Recorded are the values of *train* after the stop, and the learnt parts at the end.

    Attributes:
        first_compared: Index of the first value of *train* that is compared.
        load_result: What *load* returned, unless it is the result of torch's ``load_state_dict``.
    """

    def __init__(
        self, trial: Trial, pin: Pin, train: Any, save: Any, load: Any, make: Any, stop_step: int, steps: int
    ) -> None:
        self._trial, self._pin = trial, pin
        self._train, self._save, self._load, self._make = train, save, load, make
        self.stop_step, self.steps, self.first_compared = stop_step, steps, 0
        self._initial_parts = set[str]()
        self._state_at_stop: dict[str, Any] = {}
        self._changed_by_save: tuple[str, ...] | None = None
        self.load_result: object = None

    def run_reference(self) -> Recording:
        """Trains uninterrupted, as the reference of :meth:`compare`."""
        for _ in range(_MAX_ATTEMPTS):
            self._trial.reset()
            recording = self.train()
            self._trial.add(make_run(Cell(), "passed", 0.0, recording, None), recording)
            if self._pin.is_settled:  # else this run first imported a library
                break
        return recording

    def compare(self, recording: Recording) -> Verdict:
        """The verdict on the reference and *recording*."""
        run = make_run(Cell(value=1), "passed", 0.0, recording, None)
        return self._trial.compute_verdict((run, recording))

    def train(self) -> Recording:
        """Trains uninterrupted."""
        state = self._make_state()
        self._initial_parts = {part.name for part in state_parts(state) if part.learnt}
        outputs = _to_list(self._train(state, self.steps))
        first, remainder = divmod(len(outputs) * self.stop_step, self.steps)
        # If steps do not have equally many values, compare only the last one.
        self.first_compared = len(outputs) - 1 if remainder else first
        return self._record(state, outputs[self.first_compared :])

    def resume(self, restored_parts: Collection[str] = ()) -> Verdict:
        """Stops, saves, loads and continues with *restored_parts* restored."""
        if self._changed_by_save is None:
            self._train_and_save()
        state = self._load_state()
        for part in state_parts(state):
            if part.name in restored_parts:
                part.restore(self._state_at_stop[part.name])
        return self._continue(state)

    def find_missing(self) -> MissingState:
        """The state that makes a resumed training equal to the reference."""
        missing = MissingState(changed_by_save=self._changed_by_save or ())
        if self._continue(self._train_until_stop()).mismatches:
            return missing._replace(pause_differs=True)
        lost = tuple(find_changes(self._load_state(), self._state_at_stop))
        names = {part.name for part in lost}
        if not names or self.resume(names).mismatches:
            return missing._replace(parts=lost, unexplained=True)
        if len(names) > 1:  # a part is needed if restoring all others is not enough
            lost = tuple(part for part in lost if self.resume(names - {part.name}).mismatches) or lost
        return missing._replace(parts=lost)

    def _make_state(self) -> Any:
        self._pin.seed()
        return self._make()

    def _train_until_stop(self) -> Any:
        state = self._make_state()
        _to_list(self._train(state, self.stop_step))
        return state

    def _train_and_save(self) -> None:
        state = self._train_until_stop()
        self._state_at_stop = {part.name: part.read() for part in state_parts(state)}
        self._checkpoint = self._save(state)
        changed = find_changes(state, self._state_at_stop)
        self._changed_by_save = tuple(part.name for part in changed if part.learnt)

    def _load_state(self) -> Any:
        state = self._make_state()
        try:
            checkpoint = deepcopy(self._checkpoint)
        except Exception as error:
            kind = type(self._checkpoint).__qualname__
            raise TypeError(f"save returned a {kind} that cannot be copied: {error}") from error
        result = self._load(state, checkpoint)
        self.load_result = None if type(result).__name__ == "_IncompatibleKeys" else result
        return state

    def _continue(self, state: Any) -> Verdict:
        outputs = _to_list(self._train(state, self.steps - self.stop_step))
        return self.compare(self._record(state, outputs))

    def _record(self, state: Any, outputs: Sequence[object]) -> Recording:
        recording = self._trial.new_recording(Cell(value=self._trial.run_count))
        for number, value in enumerate(outputs, self.first_compared):
            recording.record(f"train()[{number}]", value)
        for part in state_parts(state):
            # A list that starts without arrays is a history (of activations), not learnt.
            if part.learnt and (part.name in self._initial_parts or not part.is_collection):
                for path, value in flatten_recordable(part.read()).items():
                    recording.record(f"{part.name}{path}", value)
        return recording


def _to_list(output: Any) -> list[object]:
    """The output of *train* as a list; a generator is exhausted."""
    if output is None:
        return []
    single = isinstance(output, (Mapping, str, bytes)) or hasattr(output, "shape")
    return list(output) if isinstance(output, Iterable) and not single else [output]
