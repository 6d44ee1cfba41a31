"""Partitions of machines, and the fields of the environment that divide them in the same way."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, groupby
from typing import NamedTuple, TypeVar

from pytest_repro.core.machine import VARIABLES

T = TypeVar("T", bound=Hashable)

OUTSIDE = -1
"""The class of a machine that is not part of a partition."""


@dataclass(frozen=True)
class Partition:
    """Machines by what they computed: the number of the class of each, packed as C ints.

    Class 0 is the largest; of equally large ones the first is that of the first machine.
    """

    packed: bytes

    @property
    def codes(self) -> Sequence[int]:
        """The class of each machine, :data:`OUTSIDE` for those that are not part of it."""
        return memoryview(self.packed).cast("i")

    @cached_property
    def classes(self) -> tuple[tuple[int, ...], ...]:
        """The machines of each class, by number."""
        members = group_machines(self.codes)
        return tuple(tuple(members[code]) for code in sorted(members) if code != OUTSIDE)

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(map(len, self.classes))


def group_machines(values: Iterable[T]) -> dict[T, list[int]]:
    """The machines of each value, by number."""
    groups: dict[T, list[int]] = {}
    for machine, value in enumerate(values):
        groups.setdefault(value, []).append(machine)
    return groups


def make_partition(labels: Iterable[Hashable | None]) -> Partition:
    """Machines of equal labels are in one class; None is :data:`OUTSIDE`."""
    labels = list(labels)
    counts = Counter(label for label in labels if label is not None)
    # Counter keeps the order in which labels first occur, and most_common is stable.
    numbers = {label: number for number, (label, _) in enumerate(counts.most_common())}
    codes = (OUTSIDE if label is None else numbers[label] for label in labels)
    return Partition(array("i", codes).tobytes())


def join_partitions(partitions: Sequence[Partition]) -> Partition:
    """Machines are in one class if they are so in each of *partitions*, which have the same members."""
    rows = zip(*(each.codes for each in partitions))
    return make_partition(None if OUTSIDE in row else row for row in rows)


class Field(NamedTuple):
    """What may differ between machines before the first test: a field of the environment, the seed."""

    name: str
    values: Sequence[str]  # of each machine; ``""`` where it is missing


class FieldSplit(NamedTuple):
    """Fields that divide machines in the same way; *values* are those of each class, by field."""

    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]


class Explanation(NamedTuple):
    """What the environments say about a partition.

    Attributes:
        splits: Fields each of which divides the machines as the partition does. If there are several, the
            reports do not show which of them matters.
        determining: If there are none of these either: fields, one or two together, that are equal only on
            machines of one class. The classes follow from them, but some of their values give the same.
    """

    splits: tuple[FieldSplit, ...] = ()
    pairs: tuple[tuple[FieldSplit, FieldSplit], ...] = ()  # if there are none: two fields that do so together
    determining: tuple[tuple[str, ...], ...] = ()
    twins: tuple[int, int] | None = None  # two machines of one environment in different classes
    differing: tuple[str, ...] = ()  # the fields that differ between members


def list_differing_fields(machines: Sequence[Mapping[str, str]]) -> list[Field]:
    """The fields that are not the same on all machines, in the order of the first machine that has them."""
    names = dict.fromkeys(name for fields in machines for name in fields)
    columns = (Field(name, [fields.get(name, "") for fields in machines]) for name in names)
    return [field for field in columns if len(set(field.values)) > 1]


def explain_partition(partition: Partition, fields: Sequence[Field]) -> Explanation:
    """The *fields*, those of :func:`list_differing_fields`, that divide the machines as *partition* does."""
    differing, coarse = list[str](), dict[tuple[int, ...], list[tuple[str, tuple[str, ...]]]]()
    for field in fields:
        values = _find_class_values(partition, field)
        if values is None or len(set(values)) > 1:
            differing.append(field.name)
        if values is not None and len(set(values)) > 1:
            coarse.setdefault(_number(values), []).append((field.name, values))
    count = len(partition.classes)
    bundles = {key: FieldSplit(*zip(*columns)) for key, columns in coarse.items()}
    exact = tuple(bundle for key, bundle in bundles.items() if len(set(key)) == count)
    pairs = tuple(
        (bundles[a], bundles[b]) for a, b in combinations(bundles, 2) if len(set(zip(a, b))) == count
    )
    determining = () if exact or pairs else tuple(_find_determining(partition, fields))
    twins = _find_twins(partition, fields)
    return Explanation(exact, () if exact else pairs, determining, twins, tuple(differing))


def _find_determining(partition: Partition, fields: Sequence[Field]) -> Iterator[tuple[str, ...]]:
    """Single fields whose values determine the class, or else pairs; of those that divide alike the first.

    Where half of the machines or more have a combination of values of their own, it says nothing.
    """
    members = [(machine, code) for machine, code in enumerate(partition.codes) if code != OUTSIDE]
    columns = {_number([field.values[machine] for machine, _ in members]): field.name for field in fields}
    codes = [code for _, code in members]
    for size in (1, 2):
        found = False
        for chosen in combinations(columns, size):
            classes: dict[tuple[int, ...], int] = {}
            agree = all(classes.setdefault(key, code) == code for key, code in zip(zip(*chosen), codes))
            if agree and 2 * len(classes) <= len(members):
                found = True
                yield tuple(columns[each] for each in chosen)
        if found:
            return


def _find_class_values(partition: Partition, field: Field) -> tuple[str, ...] | None:
    """The value of *field* in each class; None if it differs within a class."""
    found = []
    for members in partition.classes:
        first = field.values[members[0]]
        if any(field.values[machine] != first for machine in members):
            return None
        found.append(first)
    return tuple(found)


def _number(values: Sequence[str]) -> tuple[int, ...]:
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return tuple(numbers[value] for value in values)


def _find_twins(partition: Partition, fields: Sequence[Field]) -> tuple[int, int] | None:
    """Two machines that are equal in all fields, and in different classes."""
    first: dict[tuple[str, ...], tuple[int, int]] = {}
    for machine, code in enumerate(partition.codes):
        if code != OUTSIDE:
            environment = tuple(field.values[machine] for field in fields)
            other, other_code = first.setdefault(environment, (machine, code))
            if other_code != code:
                return other, machine
    return None


_MAX_CHARS, _MAX_VALUES = 40, 8

_FAMILIES = {
    "hash seed": ("PYTHONHASHSEED",),
    "instruction set": (
        "cpu capability", "numpy simd", "numpy blas kernels", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA",
        "MKL_CBWR", "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES",
    ),
    "threads": (
        "threads", "numpy blas threads", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS",
    ),
}  # fmt: skip
_FAMILY_OF = {name: family for family, names in _FAMILIES.items() for name in names}


def get_family(name: str) -> str:
    """What the field sets: ``threads``; its own name if nothing else sets the same."""
    return _FAMILY_OF.get(name, name)


def format_value(name: str, value: str) -> str:
    """The value of a field, shortened; a variable is ``not set``, another field ``missing``."""
    shown = value or ("not set" if name in VARIABLES else "missing")
    return shown if len(shown) <= _MAX_CHARS else f"{shown[: _MAX_CHARS - 1]}…"


def group_fields(fields: Sequence[Field]) -> list[Field]:
    """*fields* with those of a family together, families in the order of their first fields."""
    order = list(dict.fromkeys(get_family(field.name) for field in fields))
    return sorted(fields, key=lambda field: order.index(get_family(field.name)))


def format_split(split: FieldSplit) -> Iterator[str]:
    """A line for each family: ``instruction set: AVX2 | DEFAULT (cpu capability, also MKL_CBWR)``."""
    columns = sorted(
        zip(split.names, split.values),
        key=lambda column: list(_FAMILY_OF).index(column[0]) if column[0] in _FAMILY_OF else -1,
    )
    for family, group in groupby(columns, key=lambda column: get_family(column[0])):
        (name, values), *others = group
        more = " | …" * (len(values) > _MAX_VALUES)
        shown = " | ".join(format_value(name, value) for value in values[:_MAX_VALUES]) + more
        names = [] if name == family else [name]
        names += [f"also {', '.join(other for other, _ in others)}"] if others else []
        yield f"{family}: {shown}" + (f" ({', '.join(names)})" if names else "")
