"""What a run recorded in another interpreter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol

from pytest_repro.core.compare.mismatch import Difference
from pytest_repro.core.plan.tolerance import ToleranceFunction
from pytest_repro.core.runs.observation import ContentRef, Key, Leaf, Observation, TokenContext
from pytest_repro.engine.runs.distance import can_measure, load_content, measure_distance, store_logits
from pytest_repro.engine.runs.recording import RecordingBase
from pytest_repro.values.spill_store import SpillStore


class ValueFetcher(Protocol):
    """Fetches values from where they were recorded."""

    def __call__(self, key: Key, logits: bool = False) -> Iterable[memoryview] | None:
        """The bytes of a large value, or the *logits* of tokens; None if they were not kept there."""


class RemoteRecording(RecordingBase):
    """Observations from another interpreter: digests of large values, bytes of small ones.

    Args:
        observations: By key, in the order of recording.
        skipped_locals: Number of local values that could not be digested.
        count_ulps: Whether differing elements are counted by their distance, for plots.
    """

    def __init__(
        self, observations: Mapping[Key, Observation], skipped_locals: int = 0, count_ulps: bool = False
    ) -> None:
        self._observations, self._count_ulps = dict(observations), count_ulps
        self._differences: dict[Key, Difference] = {}
        self.skipped_locals = skipped_locals

    def __len__(self) -> int:
        return len(self._observations)

    def observations(self) -> dict[Key, Observation]:
        return self._observations

    def measure_against(
        self,
        reference: RecordingBase,
        store: SpillStore,
        tolerance_for: ToleranceFunction,
        mixed_dtypes: bool,
        fetch: ValueFetcher,
    ) -> None:
        """Measures what differs from *reference*, while the values can still be fetched."""
        for key, there in reference.observations().items():
            here = self._observations.get(key)
            if here is None or (there.kind, there.content) == (here.kind, here.content):
                continue
            values = load_content(there.content, store)
            if values is None or not can_measure(there, here, mixed_dtypes):
                continue
            pieces = fetch(key) if isinstance(here.content, ContentRef) else [memoryview(here.content)]
            if pieces is not None:
                self._differences[key] = measure_distance(
                    there, values, here, pieces, tolerance_for, self._count_ulps
                )

    def store_values(self, store: SpillStore, fetch: ValueFetcher) -> None:
        """Stores the large values, while they can be fetched: other runs are compared with them."""
        for key, each in self._observations.items():
            pieces = fetch(key) if isinstance(each.content, ContentRef) else None
            if pieces is not None:
                each = replace(each, content=store.put(_make_leaf(each, pieces)))
            if each.token_context is not None:
                beside = _attach_logits(each.token_context, partial(fetch, key, logits=True))
                each = replace(each, token_context=store_logits(beside, store))
            self._observations[key] = each

    def measure(self, reference: Observation, other: Observation) -> Difference | None:
        return self._differences.get(other.key)


def _attach_logits(
    context: TokenContext, fetch_logits: Callable[[], Iterable[memoryview] | None]
) -> TokenContext:
    if context.load_logits is None:
        return context
    leaf = replace(context.load_logits(), read_chunks=lambda: fetch_logits() or ())
    return replace(context, load_logits=lambda: leaf)


def _make_leaf(observation: Observation, pieces: Iterable[memoryview]) -> Leaf:
    content = b"".join(pieces)
    return Leaf(
        observation.kind, observation.dtype, observation.shape, len(content), lambda: [memoryview(content)]
    )
