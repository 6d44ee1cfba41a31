"""Machines that compute something else than all others like them: suspects of silent data corruption."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pytest_repro.cli.fleet.partition import Field, Partition

MIN_TESTS = 3
"""Fewest tests on which a suspect is alone: a race makes one machine differ on a test now and then."""

_RACE_SHARE = 0.1


class Suspect(NamedTuple):
    """A machine that is alone with its values, although others have its environment.

    Cores that compute wrongly without a sign are known from large fleets: Hochschild et al. (Cores that don't
    count, HotOS 2021, https://doi.org/10.1145/3458336.3465297) and Dixit et al. (Silent Data Corruptions at
    Scale, 2021, https://arxiv.org/abs/2102.11245).
    """

    machine: int
    alone_count: int  # tests on which it is alone while more than half of the machines agree
    test_count: int  # tests that are compared
    twin_count: int  # other machines with its environment
    other_count: int  # most tests on which any machine that is no suspect is alone


def find_suspects(
    partitions: Sequence[Partition], fields: Sequence[Field], count: int, test_count: int
) -> tuple[Suspect, ...]:
    """The suspects among *count* machines, the most conspicuous first.

    A suspect is alone on :data:`MIN_TESTS` or more of *test_count* compared tests, of which *partitions* has
    those on which the machines differ, and on three times as many as any other machine. If more than a tenth
    of the machines (and more than one) were suspects, none is: a race explains that better.
    """
    numbers: dict[tuple[str, ...], int] = {}
    rows = zip(*(field.values for field in fields)) if fields else [()] * count
    environments = [numbers.setdefault(tuple(row), len(numbers)) for row in rows]
    alone: Counter[int] = Counter()
    for partition, tests in Counter(partitions).items():
        alone.update(dict.fromkeys(_list_alone(partition, environments), tests))
    found = [machine for machine, number in alone.most_common() if number >= MIN_TESTS]
    if len(found) > max(1, _RACE_SHARE * count):
        return ()
    other = max((number for machine, number in alone.items() if machine not in found), default=0)
    twins = Counter(environments)
    return tuple(
        Suspect(machine, alone[machine], test_count, twins[environments[machine]] - 1, other)
        for machine in found
        if alone[machine] >= 3 * other
    )


def _list_alone(partition: Partition, environments: Sequence[int]) -> list[int]:
    """The machines that are alone while more than half of all agree, among them one of its environment."""
    largest, *others = partition.classes
    if 2 * len(largest) <= sum(partition.sizes):
        return []
    ordinary = {environments[machine] for machine in largest}
    return [machine for machine, *more in others if not more and environments[machine] in ordinary]
