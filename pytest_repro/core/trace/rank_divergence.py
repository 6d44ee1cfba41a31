"""The first op that differs over all ranks: what a rank received from another one did not begin there.

An op comes before another one if it precedes it in its rank, or in a rank whose data a collective carries
on: the order "happened before" of Lamport (Time, Clocks, and the Ordering of Events in a Distributed System,
CACM 1978, https://doi.org/10.1145/359545.359563).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import NamedTuple

from pytest_repro.core.checked_json import parse_json
from pytest_repro.core.codec import Codec
from pytest_repro.core.trace.columns import ALL, Collective
from pytest_repro.core.trace.divergence import Divergence, Receipt, first_divergence
from pytest_repro.core.trace.trace import Trace


class Meeting(NamedTuple):
    """A collective in the trace of a rank."""

    position: int  # index of its op
    location: str
    collective: Collective


class RankComparison(NamedTuple):
    """What a rank reports of two of its traces."""

    divergence: Divergence | None  # the first op that differs in this rank
    meetings: tuple[Meeting, ...]  # every collective of the first trace
    groups: Mapping[str, tuple[int, ...]]  # the ranks of each of their groups


def compare_traces(a: Trace, b: Trace) -> RankComparison:
    """Compares two traces of one rank."""
    meetings = (Meeting(index, a[index].location, each) for index, each in sorted(a.collectives.items()))
    return RankComparison(first_divergence(a, b), tuple(meetings), a.group_ranks)


_CODEC = Codec()


def encode_comparison(comparison: RankComparison) -> str:
    """*comparison* as text, from one process to another."""
    return json.dumps(_CODEC.encode(comparison))


def decode_comparison(text: str) -> RankComparison:
    """The comparison that :func:`encode_comparison` made *text* of.

    Raises:
        BadJson: *text* is something else.
    """
    return _CODEC.decode(RankComparison, parse_json(text, "comparison of a rank"))


def find_first_divergence(ranks: Mapping[int, RankComparison]) -> Divergence | None:
    """The op that differs first over all *ranks*, and through which collectives others received it.

    If a collective of which no input differs returns another output, it is itself that op. If no collective
    establishes an order between several, that of the lowest rank is returned with the others.
    """
    order = _Order(ranks)
    receipts = tuple(filter(None, map(order.find_receipt, sorted(order.differing))))
    received = {each.rank for each in receipts}
    origins = [event for event in order.iter_events() if event.rank not in received]
    first = [each for each in origins if not any(order.is_before(other, each) for other in origins)]
    if not first:
        return None
    return replace(first[0], received=receipts, others=tuple(first[1:]))


class _Order:
    """The partial order of the ops of several ranks."""

    def __init__(self, ranks: Mapping[int, RankComparison]) -> None:
        self.differing = {rank: each.divergence for rank, each in ranks.items() if each.divergence}
        self._meetings = {rank: each.meetings for rank, each in ranks.items()}
        self._groups = {name: members for each in ranks.values() for name, members in each.groups.items()}
        self._places = {
            rank: {m.collective.key: m.position for m in meetings}
            for rank, meetings in self._meetings.items()
        }

    def iter_events(self) -> Iterator[Divergence]:
        """The divergence of each rank; that of a collective which differs in several only once."""
        seen = set()
        for rank, divergence in sorted(self.differing.items()):
            meeting = self._find_result(rank)
            if meeting is None or meeting.collective.key not in seen:
                is_matched = meeting is None or all(
                    meeting.collective.key in self._places.get(each, ()) for each in self._sources(meeting)
                )
                # What another rank sent in is not known: no op is to blame.
                yield replace(divergence, rank=rank, kind=divergence.kind if is_matched else "input")
            if meeting is not None:
                seen.add(meeting.collective.key)

    def _find_result(self, rank: int) -> Meeting | None:
        """The collective whose output differs in *rank* although nothing before it does."""
        divergence = self.differing[rank]
        if divergence.kind != "value":
            return None
        return next((each for each in self._meetings[rank] if each.position == divergence.index), None)

    def _sources(self, meeting: Meeting) -> Sequence[int]:
        return self._resolve(meeting.collective.source, meeting.collective)

    def _resolve(self, rank: int, collective: Collective) -> Sequence[int]:
        return self._groups.get(collective.group, ()) if rank == ALL else (rank,)

    def find_receipt(self, rank: int) -> Receipt | None:
        """How *rank* received what differs there first; None if it began in it."""
        if (meeting := self._find_result(rank)) is None:
            return None
        key = meeting.collective.key
        senders = tuple(
            each for each in self._sources(meeting) if each != rank and self._differs_at(each, key)
        )
        if not senders:
            return None
        return Receipt(rank, senders, meeting.collective.name, meeting.position, meeting.location)

    def _differs_at(self, rank: int, key: tuple[str, int]) -> bool:
        """Whether *rank* differed before the collective of that *key*, or put another input into it."""
        place, divergence = self._places.get(rank, {}).get(key), self.differing.get(rank)
        if place is None or divergence is None:
            return False
        return divergence.index < place or (divergence.index == place and divergence.kind != "value")

    def is_before(self, event: Divergence, other: Divergence) -> bool:
        """Whether collectives carried data from *event* to a place before *other*."""
        if event.rank is None or other.rank is None or event.rank == other.rank:
            return False
        starts = {event.rank: event.index}
        if (meeting := self._find_result(event.rank)) is not None:
            key, target = meeting.collective.key, meeting.collective.target
            for rank in self._resolve(target, meeting.collective):
                starts[rank] = self._places.get(rank, {}).get(key, event.index) + 1
        return self._spread(starts).get(other.rank, inf) < other.index + (other.kind == "value")

    def _spread(self, starts: Mapping[int, int]) -> Mapping[int, float]:
        """The first op of each rank that comes after one of *starts*, by rank."""
        earliest: dict[int, float] = dict(starts)
        queue = [*starts]
        while queue:
            rank = queue.pop()
            for meeting in self._iter_first_sends(rank, earliest[rank]):
                for other in self._resolve(meeting.collective.target, meeting.collective):
                    place = self._places.get(other, {}).get(meeting.collective.key, inf)
                    if place < earliest.get(other, inf):
                        earliest[other] = place
                        queue.append(other)
        return earliest

    def _iter_first_sends(self, rank: int, start: float) -> Iterable[Meeting]:
        """The first collective of each kind from *start* on in which *rank* sends: later ones add nothing."""
        seen = set()
        for meeting in self._meetings.get(rank, ()):
            _, group, _, source, target = meeting.collective
            if meeting.position >= start and source in (ALL, rank) and (group, source, target) not in seen:
                seen.add((group, source, target))
                yield meeting
