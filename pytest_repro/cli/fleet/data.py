"""The comparison of a fleet as plain data, for ``--json``: everything that the text shortens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from pytest_repro.cli.fleet.comparison import FleetComparison, FleetTest, ValueSplit
from pytest_repro.cli.fleet.partition import Explanation, FieldSplit, Partition, get_family, group_machines

FORMAT = 1


def make_data(comparison: FleetComparison) -> dict[str, Any]:
    """Machines, what differs before the tests, partitions and tests; keys that do not apply are absent."""
    names = [machine.name for machine in comparison.machines]
    numbers = {partition: number for number, partition in enumerate(comparison.explanations)}
    counts = Counter(test.outcome for test in comparison.tests)
    tolerance = comparison.options.tolerance
    return {
        "format": FORMAT,
        "agree": comparison.agrees,
        "tolerance": {"rtol": tolerance.rtol, "atol": tolerance.atol},
        "summary": dict(sorted(counts.items())),
        "machines": [
            {"name": machine.name, "path": machine.path, "tests": machine.test_count}
            for machine in comparison.machines
        ],
        "environment": {field.name: _group_by_value(field.values, names) for field in comparison.fields},
        "suspects": [
            {
                "machine": names[each.machine],
                "alone": each.alone_count,
                "tests": each.test_count,
                "same_environment": each.twin_count,
                "most_of_others": each.other_count,
            }
            for each in comparison.suspects
        ],
        "partitions": [
            _describe_partition(partition, explanation, names)
            for partition, explanation in comparison.explanations.items()
        ],
        "tests": [_describe_test(test, numbers, names) for test in comparison.tests],
    }


def _group_by_value(values: Sequence[str], names: Sequence[str]) -> list[dict[str, Any]]:
    groups = group_machines(values).items()
    return [{"value": value or None, "machines": _select(names, machines)} for value, machines in groups]


def _select(names: Sequence[str], machines: Iterable[int]) -> list[str]:
    return [names[number] for number in machines]


def _describe_partition(
    partition: Partition, explanation: Explanation, names: Sequence[str]
) -> dict[str, Any]:
    twins = {"same_environment": _select(names, explanation.twins)} if explanation.twins else {}
    return {
        "sizes": list(partition.sizes),
        "classes": [_select(names, machines) for machines in partition.classes],
        "established": len({get_family(name) for each in explanation.splits for name in each.names}) == 1,
        "fields": [field for each in explanation.splits for field in _describe_fields(each)],
        "pairs": [[_describe_fields(each) for each in pair] for pair in explanation.pairs],
        "determining": [list(each) for each in explanation.determining],
        "differing": list(explanation.differing),
        **twins,
    }


def _describe_fields(split: FieldSplit) -> list[dict[str, Any]]:
    """The fields; *values* are those of the classes, in their order, null where one is missing."""
    return [
        {"name": name, "sets": get_family(name), "values": [value or None for value in values]}
        for name, values in zip(split.names, split.values)
    ]


def _describe_test(test: FleetTest, numbers: dict[Partition, int], names: Sequence[str]) -> dict[str, Any]:
    optional = {
        "reason": test.reason,
        "excluded": {word: _select(names, machines) for word, machines in test.excluded.items()},
        "splits": [_describe_split(split, numbers) for split in test.splits],
        "inputs": list(test.inputs),
        "inputs_differ": [n for split in test.splits for n in split.names if n in test.inputs],
        "unseeded": [{"draw": draw, "machines": _select(names, found)} for draw, found in test.draws],
        "intransitive": list(test.intransitive),
    }
    return {
        "nodeid": test.nodeid,
        "outcome": test.outcome,
        "machines": test.machine_count,
        "values": test.value_count,
        **{key: value for key, value in optional.items() if value},
    }


def _describe_split(split: ValueSplit, numbers: dict[Partition, int]) -> dict[str, Any]:
    far = split.mismatch.difference if split.mismatch else None
    distance = {"max_abs": far.max_abs} if far is not None and far.max_abs is not None else {}
    return {"partition": numbers[split.partition], "values": list(split.names), **distance}
