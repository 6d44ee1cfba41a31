from __future__ import annotations

from pytest_repro.cli.fleet.partition import Field, make_partition
from pytest_repro.cli.fleet.suspects import Suspect, find_suspects


def alone(machine: int, count: int = 20) -> str:
    return "".join("b" if n == machine else "a" for n in range(count))


def find(*partitions: str, kinds: str = "") -> tuple[Suspect, ...]:
    fields = [Field("cpu", list(kinds))] if kinds else []
    return find_suspects([*map(make_partition, partitions)], fields, 20, 40)


def test_a_machine_that_is_alone_again_and_again() -> None:
    assert find(alone(7), alone(7), alone(7)) == (Suspect(7, 3, 40, 19, 0),)
    assert find(alone(7), alone(7)) == ()


def test_another_environment_explains_it_better() -> None:
    assert find(*[alone(7)] * 9, kinds=alone(7)) == ()
    assert find(*[alone(7)] * 9, kinds="ab" * 10) == (Suspect(7, 9, 40, 9, 0),)


def test_a_race_makes_every_machine_alone_at_times() -> None:
    assert find(*[alone(n) for n in range(20)] * 3) == ()
    assert find(*[alone(7)] * 4, alone(3), alone(3)) == ()
    assert find(*[alone(7)] * 6, alone(3), alone(3)) == (Suspect(7, 6, 40, 19, 2),)


def test_without_a_majority_nobody_is_alone() -> None:
    assert find(*["abcdefghijklmnopqrst"] * 9) == ()
    assert find(*["aaaaaaaaaabbbbbbbbbc"] * 9) == ()
