"""How fields of the environment are shown: those that set one thing, such as threads, together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from pytest_repro.cli.fleet.partition import Field, FieldSplit
from pytest_repro.core.machine import VARIABLES

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
