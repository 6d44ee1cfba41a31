"""Writes down one op after the other; whatever fails in here is left out of the trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import torch

from pytest_repro.core.columns import NOWHERE, Columns
from pytest_repro.traces.digests import Digest, Digests, unseen
from pytest_repro.traces.generators import default, state
from pytest_repro.traces.known import known
from pytest_repro.traces.late import Arriving
from pytest_repro.traces.links import Links
from pytest_repro.traces.places import Places
from pytest_repro.traces.schema import Declared
from pytest_repro.traces.step import Step

_functions_watched: Callable[[], int] = getattr(torch._C, "_len_torch_function_stack", lambda: 1)


class Writing:
    """Digests what goes into ops and what comes out, and adds them to columns.

    Args:
        columns: Where the ops go.
        thorough: Whether all inputs are digested.
    """

    __slots__ = ("_arriving", "_columns", "_digests", "_known", "_links", "_numbers", "_places", "_thorough")

    def __init__(self, columns: Columns, thorough: bool) -> None:
        self._columns, self._thorough = columns, thorough
        self._digests = Digests(columns.kinds)
        self._known = known()
        self._places = Places(columns.places)
        self._arriving = Arriving(columns)
        self._links = Links()
        self._numbers: dict[str, int] = {}

    def close(self) -> None:
        """Fetches the digests that still lie on devices, and lets go of everything held."""
        try:
            self._arriving.fetch()
        finally:
            self._known.close()

    def passed(self, frame: FrameType) -> None:
        """A view or an alias ran: no entry."""
        new = self._links.new()
        if new:
            self._links.made(new, NOWHERE - 1 - self._places.of(frame))

    def entered(self, t: Any, frame: FrameType) -> None:
        """Data of numpy's or Python's became the tensor *t*."""
        try:
            with unseen():
                name, kind, digest = self._entry(t)
        except Exception:  # somebody else's tensor may do anything; the program must go on
            return
        if isinstance(digest, int):
            number, place = self._columns.names.number(name), self._places.of(frame)
            self._columns.add(number, place, NOWHERE, [digest], [kind], [digest])

    def _entry(self, t: Any) -> tuple[str, int, Digest]:
        if self._known.part(t) is not None:
            return "", 0, None
        shared = not t.untyped_storage().resizable()
        self._known.seen(t)
        return ("from numpy" if shared else "from Python", *self._digests.of(t))

    def begun(self, op: Declared, args: tuple[Any, ...], kwargs: dict[str, Any], frame: FrameType) -> Step:
        """Reads what goes into *op*, before it may write there."""
        step = Step(self._digests, self._known, self._thorough)
        step.place = self._places.of(frame)
        step.forward = self._links.forward()
        step.new = self._links.new()
        try:
            if _functions_watched():
                with unseen():
                    step.arguments(op, args, kwargs)
            else:
                step.arguments(op, args, kwargs)
            if op.draws:
                step.generator = step.generator or default(args, kwargs)
                step.draws = state(step.generator, self._digests)
        except Exception:  # as above
            step.inputs.append(0)
        return step

    def ended(
        self, op: Declared, step: Step, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        """Adds *op*, unless all that came out has no values, as on the meta device."""
        try:
            if _functions_watched():
                with unseen():
                    step.results(op, args, kwargs, result)
            else:
                step.results(op, args, kwargs, result)
            if step.draws and step.draws == state(step.generator, self._digests):
                step.draws = 0  # it could have drawn, and did not
        except Exception:  # as above
            del step.kinds[len(step.outputs) :]
        if not step.outputs or any(each is not None for each in step.outputs):
            self._add(op, step)

    def _add(self, op: Declared, step: Step) -> None:
        name = self._numbers.get(op.name)
        if name is None:
            name = self._numbers[op.name] = self._columns.names.number(op.name)
        outputs: Any = _now(step.outputs) if step.late else step.outputs
        inputs: Any = _now(step.inputs) if step.late else step.inputs
        index = self._columns.add(
            name, step.place, step.forward, outputs, step.kinds, inputs, step.draws, step.picked
        )
        if step.new:
            self._links.made(step.new, index)
        if step.late:
            self._arriving.expect(index, step.outputs, step.inputs)


def _now(digests: Sequence[Digest]) -> list[int]:
    """What is known of *digests* now; those to come are 0 until then."""
    return [each if isinstance(each, int) else 0 for each in digests]
