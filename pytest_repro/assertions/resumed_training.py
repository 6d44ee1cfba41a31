"""A training that is stopped and resumed, and what it then lacks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from pytest_repro.adapters import find_kind_name
from pytest_repro.adapters._find_generators import walk_reachable
from pytest_repro.assertions.plain_values import copy_graph_arrays, is_plain, list_members, set_member
from pytest_repro.assertions.training_state import (
    ROOT,
    MissingState,
    SavedPart,
    StatePart,
    find_changes,
    flatten_recordable,
    format_name,
    list_state_parts,
    list_tensors,
    save_parts,
    split_state,
    suggest_fix,
)
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.plan import Cell
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.engine.runs.run_source import make_run
from pytest_repro.engine.runs.trial import Trial

_CODE_TYPES = (type, FunctionType, MethodType, BuiltinFunctionType, ModuleType)


def find_new_parts(state: object, trained_state: object) -> Iterator[StatePart]:
    """What *trained_state* has, and *state*, which was just made, lacks or has as None.

    Restoring such a part gives *state* a copy that refers to the objects of *state*, as an optimizer refers
    to parameters.
    """
    objects = _list_objects(state)
    memo = _map_objects(_list_objects(trained_state), objects)
    for path, owner, is_part in split_state(trained_state):
        here = objects.get(path)
        if is_part or type(here) is not type(owner) or (path != ROOT and is_plain(owner)):
            continue
        members = {name: value for _, name, value in list_members(here)}
        for suffix, name, value in list_members(owner):
            # A plain value that replaces None is a part of both.
            is_known = members.get(name) is not None or (name in members and is_plain(value))
            if value is not None and not is_known and not isinstance(value, _CODE_TYPES):
                restore, found = partial(_restore, here, name, value, memo), f"{path}{suffix}"
                label, fix = format_name(found, value), suggest_fix(value)
                yield StatePart(found, label, lambda: None, restore, fix, learnt=False)


def _restore(owner: Any, name: Any, value: Any, memo: dict[int, Any], saved: object) -> None:
    with suppress(Exception):  # it cannot be copied, as an iterator over a loader cannot
        memo |= copy_graph_arrays(part for _, part in walk_reachable([("", value)]))
        set_member(owner, name, deepcopy(value, memo))


def _list_objects(state: object) -> dict[str, Any]:
    """The objects of *state*, by path."""
    objects = dict(walk_reachable([(ROOT, state)]))
    for path, value, _ in split_state(state):
        objects.setdefault(path, value)
        if find_kind_name(value) == "module":
            objects |= {f"{path}.{name}": tensor for name, tensor in list_tensors(value).items()}
    return objects


def _map_objects(objects: Mapping[str, Any], others: Mapping[str, Any]) -> dict[int, Any]:
    """A memo for :func:`~copy.deepcopy` that replaces *objects* by *others* at the same paths."""
    pairs = ((value, others.get(path)) for path, value in objects.items())
    return {id(value): other for value, other in pairs if type(value) is type(other)}


_MAX_ATTEMPTS = 3


class Training:
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
        self._state_at_stop: dict[str, SavedPart] = {}
        self._stopped: object = None
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
        self._initial_parts = {part.name for part in list_state_parts(state) if part.learnt}
        outputs = _to_list(self._train(state, self.steps))
        first, remainder = divmod(len(outputs) * self.stop_step, self.steps)
        # If steps do not have equally many values, compare only the last one.
        self.first_compared = len(outputs) - 1 if remainder else first
        return self._record(state, outputs[self.first_compared :])

    def resume(self, restored_paths: Collection[str] = ()) -> Verdict:
        """Stops, saves, loads and continues with the parts at *restored_paths* restored."""
        if self._changed_by_save is None:
            self._train_and_save()
        state = self._load_state()
        parts = self._find_lost(state) if restored_paths else ()
        for part in parts:
            if part.path in restored_paths:
                saved = self._state_at_stop.get(part.path)
                part.restore(None if saved is None else saved.state)
        return self._continue(state)

    def find_missing(self) -> MissingState:
        """The state that makes a resumed training equal to the reference."""
        missing = MissingState(changed_by_save=self._changed_by_save or ())
        if self._continue(self._train_until_stop()).mismatches:
            return missing._replace(pause_differs=True)
        lost = self._find_lost(self._load_state())
        paths = {part.path for part in lost}
        if not paths or self.resume(paths).mismatches:
            return missing._replace(parts=lost, unexplained=True)
        if len(paths) > 1:  # a part is needed if restoring all others is not enough
            lost = tuple(part for part in lost if self.resume(paths - {part.path}).mismatches) or lost
        return missing._replace(parts=lost)

    def _find_lost(self, state: object) -> tuple[StatePart, ...]:
        """The parts of *state*, which was loaded, that are not as they were at the stop."""
        return (*find_changes(state, self._state_at_stop), *find_new_parts(state, self._stopped))

    def _make_state(self) -> Any:
        self._pin.seed()
        return self._make()

    def _train_until_stop(self) -> Any:
        state = self._make_state()
        _to_list(self._train(state, self.stop_step))
        return state

    def _train_and_save(self) -> None:
        state = self._stopped = self._train_until_stop()
        self._state_at_stop = save_parts(state)
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
        for part in list_state_parts(state):
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
