"""The lives of a training: straight, and stopped, saved, loaded and gone on with."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, NamedTuple

from pytest_repro.assertions.training_state import StatePart, fingerprint, flatten_recordable, state_parts
from pytest_repro.core.compare.compare import ObservedRun, find_mismatches
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict, VerdictOutcome
from pytest_repro.core.plan.cell import Cell, make_reference_cell
from pytest_repro.core.plan.plan import Plan
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.engine.runs.run_source import make_run
from pytest_repro.engine.runs.trial import Trial

_MAX_ATTEMPTS = 3
_ABSENT = object()


class MissingState(NamedTuple):
    """What a checkpoint lacks, as far as it is known.

    Attributes:
        parts: Without which training does not go on as it would have.
        pause_differs: Whether stopping by itself makes the difference, without saving and loading.
        unexplained: Whether putting back all that can be seen was not enough.
        changed_by_save: Names of the learnt parts that *save* changed: it saved what training did not stop with.
    """

    parts: tuple[StatePart, ...] = ()
    pause_differs: bool = False
    unexplained: bool = False
    changed_by_save: tuple[str, ...] = ()


class ResumeExperiment:
    """The lives of a training: straight, stopped, stopped with parts put back.

    Attributes:
        load_result: What *load* returned; not what torch's own ``load_state_dict`` does.

    Args:
        plan: Seed, tolerance and mode of deterministic algorithms.
        train: See :func:`~pytest_repro.assertions.resume.assert_resumable`; as all that follow.
        save: Likewise.
        load: Likewise.
        make: Likewise.
        stop_step: Number of steps after which is stopped.
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
        """Trains straight; gives whether there was anything to compare."""
        for _ in range(_MAX_ATTEMPTS):
            self._trial.reset()
            recording = self._train_reference()
            self._trial.add(make_run(_make_cell(0), "passed", 0.0, recording, None), recording)
            if (
                self._pin.all_libraries_seeded
            ):  # else a library was first imported meanwhile, its generators unseeded
                break
        return len(recording) > 0

    @property
    def first_compared(self) -> int:
        """The number of the first value of *train* that is compared."""
        return self._first_compared

    def make_verdict(self, found_mismatches: Sequence[Mismatch]) -> Verdict:
        """The verdict on training straight and another life that differs by *found_mismatches*."""
        first = self._trial.runs[0]
        word: VerdictOutcome = "diverged" if found_mismatches else "reproduced"
        return Verdict(word, self._plan, (first, replace(first, value=1)), tuple(found_mismatches))

    def rerun_reference(self) -> list[Mismatch]:
        """How training straight differs from one time to the next."""
        return self._compare(self._train_reference())

    def resume(self, restored_parts: Iterable[str] = ()) -> list[Mismatch]:
        """How a training differs that was stopped, saved and loaded.

        Args:
            restored_parts: Names of parts that are put back after loading, as they were at the stop.
        """
        if self._stopped_state is None:
            self._train_and_stop()
        return self._compare(self._train_after_load(set(restored_parts)))

    def find_missing(self) -> MissingState:
        """What it takes for a training that was stopped to go on as one that was not."""
        return self._find_missing()._replace(changed_by_save=self._changed_by_save)

    def _find_missing(self) -> MissingState:
        if self._compare(self._train_with_pause()):
            return MissingState(pause_differs=True)
        unlike = list(self._find_lost_parts())
        names = [part.name for part in unlike]
        if not names or self.resume(names):
            return MissingState(tuple(unlike), unexplained=True)
        if len(names) == 1:
            return MissingState(tuple(unlike))
        # Left out one at a time: what training goes on without, nobody misses.
        needed = [part for part in unlike if self.resume(name for name in names if name != part.name)]
        return MissingState(tuple(needed or unlike))

    # Each life gives what train gave after the stop, and what was learnt at its end.

    def _make_state(self) -> Any:
        self._pin.seed()
        return self._make()

    def _train_reference(self) -> Recording:
        state = self._make_state()
        self._initial_parts = {part.name for part in state_parts(state) if part.learnt}
        given = _to_list(self._train(state, self._steps))
        after = len(given) * self._stop_step
        # Values that are not a number for each step: the last one is what both lives give.
        self._first_compared = after // self._steps if after % self._steps == 0 else len(given) - 1
        return self._record(state, given[self._first_compared :])

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
            raise TypeError(f"save gave a {kind} that cannot be copied: {error}") from error
        given = self._load(state, checkpoint)
        self.load_result = None if type(given).__name__ == "_IncompatibleKeys" else given
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
            # A list that began without arrays is a history (of activations), and no part of what is learnt.
            if part.learnt and (part.name in self._initial_parts or not part.is_collection):
                for path, value in flatten_recordable(part.access.read()).items():
                    recording.record(f"{part.name}{path}", value)
        return recording

    def _compare(self, recording: Recording) -> list[Mismatch]:
        """What differs from training straight."""
        reference = self._trial.reference
        assert reference is not None
        run, first = reference
        if recording.equals(first):
            return []
        other = make_run(_make_cell(1), "passed", 0.0, recording, None)
        left, right = ObservedRun(run, first.observations()), ObservedRun(other, recording.observations())
        return list(find_mismatches(left, right, recording.measure))

    def _find_lost_parts(self) -> Iterator[StatePart]:
        """The parts that, once loaded, are not as they were at the stop."""
        for part in state_parts(self._load_state()):
            there = self._state_at_stop.get(part.name, _ABSENT)
            if there is not _ABSENT and fingerprint(part.access.read()) != fingerprint(there):
                yield part

    @property
    def _state_at_stop(self) -> dict[str, Any]:
        """The parts as they were at the stop."""
        assert self._stopped_state is not None
        return self._stopped_state


def _to_list(output: Any) -> list[object]:
    """What *train* gave, as a list; its generator is run to its end."""
    if output is None:
        return []
    if isinstance(output, (Mapping, str, bytes)) or hasattr(output, "shape"):
        return [output]
    return list(output) if isinstance(output, Iterable) else [output]


def _make_cell(number: int) -> Cell:
    return make_reference_cell((), number)
