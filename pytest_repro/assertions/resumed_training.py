"""Runs a training in several ways: uninterrupted, and stopped, saved, loaded and continued."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, NamedTuple

from pytest_repro.assertions.training_state import StatePart, fingerprint, flatten_recordable, state_parts
from pytest_repro.core.compare.mismatch import Mismatch, ObservedRun, find_mismatches
from pytest_repro.core.compare.verdict import Verdict, VerdictOutcome
from pytest_repro.core.plan.plan import Cell, Plan, make_reference_cell
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.engine.runs.run_source import make_run
from pytest_repro.engine.runs.trial import Trial

_MAX_ATTEMPTS = 3
_ABSENT = object()


class MissingState(NamedTuple):
    """What a checkpoint lacks, as far as known.

    Attributes:
        parts: Parts without which training does not continue as it would have.
        pause_differs: Whether a pause without saving and loading makes a difference already.
        unexplained: Whether restoring all visible state was not enough.
        changed_by_save: Names of the learnt parts that *save* changed before saving them.
    """

    parts: tuple[StatePart, ...] = ()
    pause_differs: bool = False
    unexplained: bool = False
    changed_by_save: tuple[str, ...] = ()


class ResumeExperiment:
    """A training that can be run uninterrupted, or resumed with chosen parts restored.

    Attributes:
        load_result: What *load* returned, unless it is the result of torch's ``load_state_dict``.

    Args:
        plan: Seed, tolerance and mode of deterministic algorithms.
        train: As for :func:`~pytest_repro.assert_resumable`; also *save*, *load* and *make*.
        stop_step: Number of steps before the stop.
        steps: Number of steps in all.
    """

    def __init__(
        self, plan: Plan, train: Any, save: Any, load: Any, make: Any, stop_step: int, steps: int
    ) -> None:
        self._train, self._save, self._load, self._make = train, save, load, make
        self._plan, self._stop_step, self._steps, self._first_compared = plan, stop_step, steps, 0
        self._trial, self._pin = Trial(plan), Pin(plan.seed, plan.deterministic)
        self._stopped_state: dict[str, Any] | None = None
        self._initial_parts = set[str]()
        self.load_result: object = None
        self._changed_by_save: tuple[str, ...] = ()

    def __enter__(self) -> ResumeExperiment:
        self._pin.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            self._trial.close()
        finally:
            self._pin.__exit__(*error)

    def run_reference(self) -> bool:
        """Trains uninterrupted; returns whether there is anything to compare."""
        for _ in range(_MAX_ATTEMPTS):
            self._trial.reset()
            recording = self._train_reference()
            self._trial.add(make_run(_make_cell(0), "passed", 0.0, recording, None), recording)
            if self._pin.is_settled:  # else this run first imported a library
                break
        return len(recording) > 0

    @property
    def first_compared(self) -> int:
        """The index of the first value of *train* that is compared."""
        return self._first_compared

    def make_verdict(self, found_mismatches: Sequence[Mismatch]) -> Verdict:
        """The verdict on the reference and a training that differs by *found_mismatches*."""
        first = self._trial.runs[0]
        outcome: VerdictOutcome = "diverged" if found_mismatches else "reproduced"
        return Verdict(outcome, self._plan, (first, replace(first, value=1)), tuple(found_mismatches))

    def rerun_reference(self) -> list[Mismatch]:
        """Trains uninterrupted once more; returns the differences."""
        return self._compare(self._train_reference())

    def resume(self, restored_parts: Iterable[str] = ()) -> list[Mismatch]:
        """Stops, saves, loads and continues with *restored_parts* restored; returns the differences."""
        if self._stopped_state is None:
            self._train_and_stop()
        return self._compare(self._train_after_load(set(restored_parts)))

    def find_missing(self) -> MissingState:
        """The state that makes a resumed training equal to the reference."""
        return self._find_missing()._replace(changed_by_save=self._changed_by_save)

    def _find_missing(self) -> MissingState:
        if self._compare(self._train_with_pause()):
            return MissingState(pause_differs=True)
        lost = list(self._find_lost_parts())
        names = [part.name for part in lost]
        if not names or self.resume(names):
            return MissingState(tuple(lost), unexplained=True)
        if len(names) == 1:
            return MissingState(tuple(lost))
        # A part is needed if restoring all others is not enough.
        needed = [part for part in lost if self.resume(name for name in names if name != part.name)]
        return MissingState(tuple(needed or lost))

    # Recorded are the values of train after the stop, and the learnt parts at the end.

    def _make_state(self) -> Any:
        self._pin.seed()
        return self._make()

    def _train_reference(self) -> Recording:
        state = self._make_state()
        self._initial_parts = {part.name for part in state_parts(state) if part.learnt}
        outputs = _to_list(self._train(state, self._steps))
        first, remainder = divmod(len(outputs) * self._stop_step, self._steps)
        # If steps do not have equally many values, compare only the last one.
        self._first_compared = len(outputs) - 1 if remainder else first
        return self._record(state, outputs[self._first_compared :])

    def _train_and_stop(self) -> None:
        state = self._make_state()
        _to_list(self._train(state, self._stop_step))
        self._stopped_state = {part.name: part.access.read() for part in state_parts(state)}
        self._checkpoint = self._save(state)
        learnt = (part for part in state_parts(state) if part.learnt and part.name in self._stopped_state)
        self._changed_by_save = tuple(
            p.name for p in learnt if fingerprint(p.access.read()) != fingerprint(self._stopped_state[p.name])
        )

    def _train_with_pause(self) -> Recording:
        state = self._make_state()
        _to_list(self._train(state, self._stop_step))
        return self._record(state, _to_list(self._train(state, self._steps - self._stop_step)))

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

    def _train_after_load(self, restored_parts: Collection[str]) -> Recording:
        state = self._load_state()
        for part in state_parts(state):
            if part.name in restored_parts:
                part.access.restore(self._state_at_stop[part.name])
        return self._record(state, _to_list(self._train(state, self._steps - self._stop_step)))

    def _record(self, state: Any, outputs: Sequence[object]) -> Recording:
        recording = self._trial.new_recording(_make_cell(len(self._trial.runs)))
        for number, value in enumerate(outputs, self._first_compared):
            recording.record(f"train()[{number}]", value)
        for part in state_parts(state):
            # A list that starts without arrays is a history (of activations), not learnt.
            if part.learnt and (part.name in self._initial_parts or not part.is_collection):
                for path, value in flatten_recordable(part.access.read()).items():
                    recording.record(f"{part.name}{path}", value)
        return recording

    def _compare(self, recording: Recording) -> list[Mismatch]:
        """The differences to the reference."""
        reference = self._trial.reference
        assert reference is not None
        run, first = reference
        if recording.equals(first):
            return []
        other = make_run(_make_cell(1), "passed", 0.0, recording, None)
        left, right = ObservedRun(run, first.observations()), ObservedRun(other, recording.observations())
        return list(find_mismatches(left, right, recording.measure))

    def _find_lost_parts(self) -> Iterator[StatePart]:
        """The parts that loading does not bring back to their state at the stop."""
        for part in state_parts(self._load_state()):
            saved = self._state_at_stop.get(part.name, _ABSENT)
            if saved is not _ABSENT and fingerprint(part.access.read()) != fingerprint(saved):
                yield part

    @property
    def _state_at_stop(self) -> dict[str, Any]:
        assert self._stopped_state is not None
        return self._stopped_state


def _to_list(output: Any) -> list[object]:
    """The output of *train* as a list; a generator is exhausted."""
    if output is None:
        return []
    if isinstance(output, (Mapping, str, bytes)) or hasattr(output, "shape"):
        return [output]
    return list(output) if isinstance(output, Iterable) else [output]


def _make_cell(number: int) -> Cell:
    return make_reference_cell((), number)
