"""Programs of several ranks, simulated: what differs is followed to the op where it began."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.trace.columns import ALL, Collective
from pytest_repro.core.trace.divergence import Divergence, Receipt
from pytest_repro.core.trace.rank_divergence import (
    RankComparison,
    compare_traces,
    decode_comparison,
    encode_comparison,
    find_first_divergence,
)
from pytest_repro.core.trace.trace import Op, Trace

RANKS = range(3)


class Step(NamedTuple):
    """An op of a program: of one rank, or a collective of *members*."""

    name: str
    members: tuple[int, ...]
    source: int = ALL
    target: int = ALL


LOCAL = st.sampled_from(RANKS).map(lambda rank: Step("local", (rank,)))
GROUPS = st.sampled_from([(0, 1, 2), (0, 1), (1, 2)])
REDUCTION = GROUPS.map(lambda members: Step("all_reduce", members))
BROADCAST = GROUPS.flatmap(lambda m: st.sampled_from(m).map(lambda source: Step("broadcast", m, source)))
GATHER = GROUPS.flatmap(lambda m: st.sampled_from(m).map(lambda target: Step("gather", m, target=target)))
SEND = st.permutations(RANKS).map(lambda r: Step("send", (r[0], r[1]), r[0], r[1]))
PROGRAMS = st.lists(st.one_of(LOCAL, LOCAL, REDUCTION, BROADCAST, GATHER, SEND), min_size=1, max_size=12)


def mix(*parts: str) -> str:
    return sha256(" ".join(parts).encode()).hexdigest()[:16]


def run(steps: Sequence[Step], noisy: Collection[int] = ()) -> list[Trace]:
    """The traces of all ranks; the steps *noisy* return other values."""
    values, ops = [mix("start")] * len(RANKS), [list[Op]() for _ in RANKS]
    marks, counts = [dict[int, Collective]() for _ in RANKS], Counter[str]()
    for number, step in enumerate(steps):
        noise, location = str(number in noisy), f"/train.py:{number}"
        if step.name == "local":
            (rank,) = step.members
            values[rank] = mix(values[rank], noise)
            ops[rank].append(Op("local", (values[rank],), (), location))
            continue
        sources = [step.source] if step.source != ALL else step.members
        result, group = mix(*(values[each] for each in sources), noise), f"{step.name} {step.members}"
        for rank in step.members:
            if step.target in (ALL, rank):
                values[rank] = result
            marks[rank][len(ops[rank])] = Collective(
                step.name, group, counts[group], step.source, step.target
            )
            ops[rank].append(Op("c10d", (result,) if step.target in (ALL, rank) else (), (), location))
        counts[group] += 1
    traces = list(map(Trace.from_ops, ops))
    for trace, own in zip(traces, marks):
        trace._columns.collectives = own
        trace._columns.group_ranks = {
            f"{step.name} {step.members}": step.members for step in steps if step.name != "local"
        }
    return traces


def compare(a: Sequence[Trace], b: Sequence[Trace]) -> dict[int, RankComparison]:
    found = {rank: compare_traces(*pair) for rank, pair in enumerate(zip(a, b))}
    return {rank: decode_comparison(encode_comparison(each)) for rank, each in found.items()}


def find(steps: Sequence[Step], *noisy: int) -> Divergence | None:
    return find_first_divergence(compare(run(steps), run(steps, noisy)))


def number(divergence: Divergence) -> int:
    """The number of the step."""
    return int(divergence.location.rpartition(":")[2])


@given(PROGRAMS, st.data())
def test_one_source_is_found(steps: list[Step], data: st.DataObject) -> None:
    noisy = data.draw(st.sampled_from(range(len(steps))))
    ranks = compare(run(steps), run(steps, [noisy]))
    found = find_first_divergence(ranks)
    assert found is not None
    assert number(found) == noisy
    assert found.others == ()
    assert {each.rank for each in found.received} | {found.rank} <= set(steps[noisy].members) | {
        rank for rank, each in ranks.items() if each.divergence
    }
    differing = {rank for rank, each in ranks.items() if each.divergence}
    here = {rank for rank in differing if ranks[rank].divergence.location == found.location}  # type: ignore[union-attr]
    assert {each.rank for each in found.received} == differing - here


@given(PROGRAMS, st.data())
def test_of_several_sources_those_are_named_that_no_other_precedes(
    steps: list[Step], data: st.DataObject
) -> None:
    noisy = data.draw(st.sets(st.sampled_from(range(len(steps))), min_size=2 if len(steps) > 1 else 1))
    found = find(steps, *noisy)
    assert found is not None
    named = {number(each) for each in (found, *found.others)}
    assert min(noisy) in named
    assert named <= noisy


def test_what_a_rank_received_is_no_origin() -> None:
    steps = [Step("local", (0,)), Step("local", (1,)), Step("all_reduce", (0, 1, 2)), Step("local", (2,))]
    found = find(steps, 1)
    assert found is not None
    assert (found.rank, found.index, found.kind) == (1, 0, "value")
    assert found.received == (
        Receipt(0, (1,), "all_reduce", 1, "/train.py:2"),
        Receipt(2, (1,), "all_reduce", 0, "/train.py:2"),
    )


def test_a_collective_with_equal_inputs_is_itself_the_first() -> None:
    found = find([Step("local", (0,)), Step("all_reduce", (0, 1, 2))], 1)
    assert found is not None
    assert (found.op, found.kind, found.rank, found.received, found.others) == ("c10d", "value", 0, (), ())


def test_without_an_order_both_are_named() -> None:
    found = find([Step("local", (0,)), Step("local", (1,)), Step("all_reduce", (0, 1))], 0, 1)
    assert found is not None
    assert [(each.rank, each.index) for each in (found, *found.others)] == [(0, 0), (1, 0)]


def test_a_broadcast_carries_nothing_from_who_receives_it() -> None:
    steps = [Step("local", (1,)), Step("broadcast", (0, 1), 0), Step("local", (0,))]
    found = find(steps, 0, 2)
    assert found is not None
    assert [each.rank for each in (found, *found.others)] == [0, 1]


def test_a_sender_that_is_not_known_leaves_the_collective_without_blame() -> None:
    steps = [Step("send", (1, 0), 1, 0)]
    ranks = compare(run(steps), run(steps, [0]))
    del ranks[1]
    found = find_first_divergence(ranks)
    assert found is not None
    assert (found.rank, found.kind) == (0, "input")


def test_equal_traces_have_no_divergence() -> None:
    assert find([Step("all_reduce", (0, 1, 2))]) is None
