"""Writes down one op after the other; whatever fails in here is left out of the trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import FrameType
from typing import Any

import torch

from pytest_repro.core.trace.columns import NOWHERE, Columns
from pytest_repro.traces.backward_links import Links, next_number, running
from pytest_repro.traces.digests import Digest, Digests, plain, unseen
from pytest_repro.traces.known_memory import Known, known
from pytest_repro.traces.op_generators import default, state
from pytest_repro.traces.op_location import Places
from pytest_repro.traces.op_reader import Reading, Step
from pytest_repro.traces.op_schema import Declared
from pytest_repro.traces.pending_digests import Arriving

functions_watched: Callable[[], int] = getattr(torch._C, "_len_torch_function_stack", lambda: 1)
"""How many modes see what functions of torch are called; a private name, without which: some."""

_ALONE = nullcontext()


class Writing:
    """Digests what goes into ops and what comes out, and adds them to columns.

    Args:
        columns: Where the ops go.
        thorough: Whether all inputs are digested.

    Attributes:
        known: What traced ops made.
        links: What autograd's nodes were made by.
    """

    __slots__ = (
        "_arriving", "_columns", "_digests", "_numbers", "_places", "_reading", "known", "links",
    )  # fmt: skip

    def __init__(self, columns: Columns, thorough: bool) -> None:
        self._columns = columns
        self._digests = Digests(columns.kinds)
        with unseen():
            self.known: Known = known()
        self._reading = Reading(self._digests, self.known, thorough)
        self._places = Places(columns.places)
        self._arriving = Arriving(columns)
        self.links = Links()
        self._numbers: dict[str, int] = {}

    def close(self) -> None:
        """Fetches the digests that still lie on devices."""
        self._arriving.fetch()

    def passed(self, frame: FrameType) -> None:
        """A view or an alias made an autograd node: it has no entry, but a line."""
        self.links.made(NOWHERE - 1 - self._places.of(frame))

    def entered(self, t: Any, frame: FrameType) -> None:
        """Data of numpy's or Python's became the tensor *t*."""
        try:
            with unseen():
                name, kind, digest = self._entry(t)
        except Exception:  # somebody else's tensor may do anything; the program must go on
            return
        if isinstance(digest, int):
            number, place = self._columns.names.number(name), self._places.of(frame)
            self._columns.add((number, place, NOWHERE, (digest,), (kind,), (digest,), 0, 0))

    def _entry(self, t: Any) -> tuple[str, int, Digest]:
        if self.known.part(t) is not None:
            return "", 0, None
        shared = not t.untyped_storage().resizable()
        self.known.seen(t)
        return ("from numpy" if shared else "from Python", *self._digests.of(t))

    def begun(self, op: Declared, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Step:
        """Reads what goes into *op*, before it may write there."""
        step = Step()
        try:
            with _quiet():
                self._reading.arguments(step, op, args, kwargs)
            if op.draws:
                step.generator = step.generator or default(args, kwargs)
                step.draws = state(step.generator, self._digests)
        except Exception:  # as above
            step.inputs.append(0)
        return step

    def ended(
        self,
        op: Declared,
        step: Step,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,
        frame: FrameType,
    ) -> None:
        """Adds *op*, unless all that came out has no values, as on the meta device."""
        try:
            with _quiet():
                self._reading.results(step, op, args, kwargs, result)
            if op.unsure and step.draws == state(step.generator, self._digests):
                step.draws = 0
        except Exception:  # as above
            del step.kinds[len(step.outputs) :]
        if not step.outputs or step.outputs.count(None) < len(step.outputs):
            picked = plain(step.part) if step.part else 0
            self._add(op, step, frame, picked)

    def simply(self, op: Declared, others: list[Any], t: Any, frame: FrameType) -> bool:
        """As :meth:`ended`, for an op that read nothing from outside and gave the tensor *t*.

        Returns:
            False, and nothing is done, where it is not that simple.
        """
        try:
            kind, digest = self._digests.of(t)
            if digest is None:
                return False
            (self.known.seen if op.writes else self.known.made)(t)
        except Exception:  # as above; a sparse tensor has no storage
            return False
        name = self._numbers.get(op.name) or self._number(op)
        backward = running() is not None
        place = self._places.of(self.links.waiting(frame) if backward else frame)
        forward = self.links.forward() if backward else NOWHERE
        inputs = (plain(others),) if others else ()
        now = digest if type(digest) is int else 0
        index = self._columns.add((name, place, forward, (now,), (kind,), inputs, 0, 0))
        if next_number() != self.links.next:
            self.links.made(index)
        if digest is not now:
            self._arriving.expect(index, (digest,), ())
        return True

    def _add(self, op: Declared, step: Step, frame: FrameType, picked: int) -> None:
        outputs: Any = _now(step.outputs) if step.late else step.outputs
        inputs: Any = _now(step.inputs) if step.late else step.inputs
        place, forward = self._places.of(self.links.waiting(frame)), self.links.forward()
        index = self._columns.add(
            (self._number(op), place, forward, outputs, step.kinds, inputs, step.draws, picked)
        )
        if next_number() != self.links.next:
            self.links.made(index)
        if step.late:
            self._arriving.expect(index, step.outputs, step.inputs)

    def _number(self, op: Declared) -> int:
        number = self._numbers.get(op.name)
        if number is None:
            number = self._numbers[op.name] = self._columns.names.number(op.name)
        return number


def _quiet() -> AbstractContextManager[object]:
    """What hides our reading of tensors from function modes, if there are any; 5 µs then."""
    return unseen() if functions_watched() else _ALONE


def _now(digests: Sequence[Digest]) -> list[int]:
    """What is known of *digests* now; those to come are 0 until then."""
    return [each if isinstance(each, int) else 0 for each in digests]
