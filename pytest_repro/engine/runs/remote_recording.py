"""What a run recorded in another interpreter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol

from pytest_repro.core.compare.difference import Difference
from pytest_repro.core.plan.tolerance import Closeness
from pytest_repro.core.runs.observation import Beside, Key, Leaf, Observation, Stored
from pytest_repro.engine.runs.distance import alike, distance, kept
from pytest_repro.engine.runs.recording import Recorded
from pytest_repro.engine.runs.token_divergence import shelved
from pytest_repro.values.spill_store import Shelf


class Fetch(Protocol):
    """Gives values from where they were recorded."""

    def __call__(self, key: Key, logits: bool = False) -> Iterable[memoryview] | None:
        """The bytes of a large value, or *logits* beside tokens; None when they were not kept there."""


class Received(Recorded):
    """Observations that came from elsewhere: digests for what is large, bytes for what is small.

    Args:
        observations: By key, in the order of recording.
        left_out: Number of local values that could not be digested.
        counted: Whether elements that differ are counted by their distance, to draw them.
    """

    def __init__(
        self, observations: Mapping[Key, Observation], left_out: int = 0, counted: bool = False
    ) -> None:
        self._observations, self._counted = dict(observations), counted
        self._measured: dict[Key, Difference] = {}
        self.left_out = left_out

    def __len__(self) -> int:
        return len(self._observations)

    def observations(self) -> dict[Key, Observation]:
        return self._observations

    def compare(self, reference: Recorded, shelf: Shelf, close: Closeness, mixed: bool, fetch: Fetch) -> None:
        """Measures what differs from *reference*, while the values can still be fetched."""
        for key, there in reference.observations().items():
            here = self._observations.get(key)
            if here is None or (there.kind, there.content) == (here.kind, here.content):
                continue
            values = kept(there.content, shelf)
            if values is None or not alike(there, here, mixed):
                continue
            pieces = fetch(key) if isinstance(here.content, Stored) else [memoryview(here.content)]
            if pieces is not None:
                self._measured[key] = distance(there, values, here, pieces, close, self._counted)

    def keep(self, shelf: Shelf, fetch: Fetch) -> None:
        """Keeps the large values, while they can be fetched: other runs will be compared with them."""
        for key, each in self._observations.items():
            pieces = fetch(key) if isinstance(each.content, Stored) else None
            if pieces is not None:
                each = replace(each, content=shelf.put(_leaf(each, pieces)))
            if each.beside is not None:
                beside = _fetched(each.beside, partial(fetch, key, logits=True))
                each = replace(each, beside=shelved(beside, shelf))
            self._observations[key] = each

    def measure(self, reference: Observation, other: Observation) -> Difference | None:
        return self._measured.get(other.key)


def _fetched(beside: Beside, logits: Callable[[], Iterable[memoryview] | None]) -> Beside:
    if beside.logits is None:
        return beside
    leaf = replace(beside.logits(), pieces=lambda: logits() or ())
    return replace(beside, logits=lambda: leaf)


def _leaf(each: Observation, pieces: Iterable[memoryview]) -> Leaf:
    content = b"".join(pieces)
    return Leaf(each.kind, each.element, each.shape, len(content), lambda: [memoryview(content)])
