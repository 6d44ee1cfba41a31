"""The lives of a training: straight, and stopped, saved, loaded and gone on with."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, NamedTuple

from pytest_repro.assertions.training_state import Part, marks, readable, state_parts
from pytest_repro.core.compare.compare import Observed, mismatches
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict, Word
from pytest_repro.core.plan.cell import Cell, repeat
from pytest_repro.core.plan.plan import Plan
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.engine.runs.trial import Trial, as_run

_SPARE = 3
_ABSENT = object()


class Missing(NamedTuple):
    """What a checkpoint lacks, as far as it is known.

    Attributes:
        parts: Without which training does not go on as it would have.
        paused: Whether stopping by itself makes the difference, without saving and loading.
        unseen: Whether putting back all that can be seen was not enough.
        changed: Names of the learnt parts that *save* changed: it saved what training did not stop with.
    """

    parts: tuple[Part, ...] = ()
    paused: bool = False
    unseen: bool = False
    changed: tuple[str, ...] = ()


class Lives:
    """The lives of a training: straight, stopped, stopped with parts put back.

    Attributes:
        ignored: What *load* returned; not what torch's own ``load_state_dict`` does.

    Args:
        plan: Seed, tolerance and mode of deterministic algorithms.
        train: See :func:`~pytest_repro.assertions.resume.assert_resumable`; as all that follow.
        save: Likewise.
        load: Likewise.
        make: Likewise.
        at: Number of steps after which is stopped.
        steps: Number of steps in all.
    """

    def __init__(self, plan: Plan, train: Any, save: Any, load: Any, make: Any, at: int, steps: int) -> None:
        self._train, self._save, self._load, self._make = train, save, load, make
        self._plan, self._at, self._steps, self._begin = plan, at, steps, 0
        self._trial, self._pin = Trial(plan), Pin(plan.seed, plan.deterministic)
        self._truth: dict[str, Any] | None = None
        self._begun = set[str]()
        self.ignored: object = None
        self._changed: tuple[str, ...] = ()

    def __enter__(self) -> Lives:
        self._pin.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            self._trial.close()
        finally:
            self._pin.__exit__(*error)

    def begin(self) -> bool:
        """Trains straight; gives whether there was anything to compare."""
        for _ in range(_SPARE):
            self._trial.forget()
            recording = self._straight()
            self._trial.add(as_run(_cell(0), "passed", 0.0, recording, None), recording)
            if self._pin.complete:  # else a library was first imported meanwhile, its generators unseeded
                break
        return len(recording) > 0

    @property
    def compared_from(self) -> int:
        """The number of the first value of *train* that is compared."""
        return self._begin

    def verdict(self, found: Sequence[Mismatch]) -> Verdict:
        """The verdict on training straight and another life that differs by *found*."""
        first = self._trial.runs[0]
        word: Word = "diverged" if found else "reproduced"
        return Verdict(word, self._plan, (first, replace(first, value=1)), tuple(found))

    def straight_again(self) -> list[Mismatch]:
        """How training straight differs from one time to the next."""
        return self._difference(self._straight())

    def resumed(self, put_back: Iterable[str] = ()) -> list[Mismatch]:
        """How a training differs that was stopped, saved and loaded.

        Args:
            put_back: Names of parts that are put back after loading, as they were at the stop.
        """
        if self._truth is None:
            self._stop()
        return self._difference(self._resumed(set(put_back)))

    def missing(self) -> Missing:
        """What it takes for a training that was stopped to go on as one that was not."""
        return self._missing()._replace(changed=self._changed)

    def _missing(self) -> Missing:
        if self._difference(self._paused()):
            return Missing(paused=True)
        unlike = list(self._unlike())
        names = [part.name for part in unlike]
        if not names or self.resumed(names):
            return Missing(tuple(unlike), unseen=True)
        if len(names) == 1:
            return Missing(tuple(unlike))
        # Left out one at a time: what training goes on without, nobody misses.
        needed = [part for part in unlike if self.resumed(name for name in names if name != part.name)]
        return Missing(tuple(needed or unlike))

    # Each life gives what train gave after the stop, and what was learnt at its end.

    def _born(self) -> Any:
        self._pin.seed()
        return self._make()

    def _straight(self) -> Recording:
        state = self._born()
        self._begun = {part.name for part in state_parts(state) if part.learnt}
        given = _listed(self._train(state, self._steps))
        after = len(given) * self._at
        # Values that are not a number for each step: the last one is what both lives give.
        self._begin = after // self._steps if after % self._steps == 0 else len(given) - 1
        return self._recorded(state, given[self._begin :])

    def _stop(self) -> None:
        state = self._born()
        _listed(self._train(state, self._at))
        self._truth = {part.name: part.holder.read() for part in state_parts(state)}
        self._checkpoint = self._save(state)
        learnt = (part for part in state_parts(state) if part.learnt and part.name in self._truth)
        self._changed = tuple(p.name for p in learnt if marks(p.holder.read()) != marks(self._truth[p.name]))

    def _paused(self) -> Recording:
        state = self._born()
        _listed(self._train(state, self._at))
        return self._recorded(state, _listed(self._train(state, self._steps - self._at)))

    def _loaded(self) -> Any:
        state = self._born()
        try:
            checkpoint = deepcopy(self._checkpoint)
        except Exception as error:
            kind = type(self._checkpoint).__qualname__
            raise TypeError(f"save gave a {kind} that cannot be copied: {error}") from error
        given = self._load(state, checkpoint)
        self.ignored = None if type(given).__name__ == "_IncompatibleKeys" else given
        return state

    def _resumed(self, put_back: Collection[str]) -> Recording:
        state = self._loaded()
        for part in state_parts(state):
            if part.name in put_back:
                part.holder.put(self._known[part.name])
        return self._recorded(state, _listed(self._train(state, self._steps - self._at)))

    def _recorded(self, state: Any, given: Sequence[object]) -> Recording:
        recording = self._trial.recording(_cell(len(self._trial.runs)))
        for number, value in enumerate(given, self._begin):
            recording.record(f"train()[{number}]", value)
        for part in state_parts(state):
            # A list that began without arrays is a history (of activations), and no part of what is learnt.
            if part.learnt and (part.name in self._begun or not part.collects):
                for path, value in readable(part.holder.read()).items():
                    recording.record(f"{part.name}{path}", value)
        return recording

    def _difference(self, recording: Recording) -> list[Mismatch]:
        """What differs from training straight."""
        reference = self._trial.reference
        assert reference is not None
        run, first = reference
        if recording.same_as(first):
            return []
        other = as_run(_cell(1), "passed", 0.0, recording, None)
        left, right = Observed(run, first.observations()), Observed(other, recording.observations())
        return list(mismatches(left, right, recording.measure))

    def _unlike(self) -> Iterator[Part]:
        """The parts that, once loaded, are not as they were at the stop."""
        for part in state_parts(self._loaded()):
            there = self._known.get(part.name, _ABSENT)
            if there is not _ABSENT and marks(part.holder.read()) != marks(there):
                yield part

    @property
    def _known(self) -> dict[str, Any]:
        """The parts as they were at the stop."""
        assert self._truth is not None
        return self._truth


def _listed(given: Any) -> list[object]:
    """What *train* gave, as a list; its generator is run to its end."""
    if given is None:
        return []
    if isinstance(given, (Mapping, str, bytes)) or hasattr(given, "shape"):
        return [given]
    return list(given) if isinstance(given, Iterable) else [given]


def _cell(number: int) -> Cell:
    return repeat((), number)
