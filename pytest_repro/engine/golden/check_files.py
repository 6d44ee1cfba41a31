"""Whether golden files are complete: each can be read, and the file of its values belongs to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod
from pathlib import Path

from pytest_repro.core.golden import Golden
from pytest_repro.engine.golden import find_missing_values, get_values_path, load_golden

DEFAULT_MAX_NBYTES = 64 * 2**10
"""Size in bytes of the largest value that is stored, unless ``repro_baseline_kb`` is another."""

_NUMERIC_KIND = re.compile(r"(\w+)\[([\d, ]*)\]")


def iter_problems(path: Path) -> Iterator[str]:
    """What is wrong with the golden file at *path*, the text or the file of values, as ends of sentences."""
    text_path = path.with_suffix(".json")
    if not text_path.exists():
        yield f"belongs to no golden file: {text_path.name} is missing"
        return
    try:
        golden = load_golden(text_path)
    except (OSError, ValueError) as error:
        yield str(error)
        return
    sizes = dict(_iter_sizes(golden))
    values_path = get_values_path(text_path)
    try:
        missing = find_missing_values(values_path, sizes)
    except (OSError, ValueError) as error:
        yield f"has values that cannot be read: {values_path.name} {error}"
        return
    stored = [size for digest, size in sizes.items() if digest not in missing]
    limit = max(stored, default=DEFAULT_MAX_NBYTES)  # larger values were never stored
    lost = sum(sizes[digest] <= limit for digest in missing)
    if lost and not values_path.exists():
        yield f"lacks its values: {values_path.name} is missing; commit it too"
    elif lost:
        yield f"lacks {lost:,} of its {len(sizes):,} values, which {values_path.name} does not hold"


def _iter_sizes(golden: Golden) -> Iterator[tuple[str, int]]:
    """Digest and size in bytes of each value that is an array of numbers."""
    from pytest_repro.values.dtypes import itemsize

    for entries in golden.tests.values():
        for value in (value for entry in entries.values() for value in entry):
            parts = _NUMERIC_KIND.fullmatch(value.kind)
            if parts is None or value.statistics is None:
                continue
            shape = [int(size) for size in parts[2].split(",") if size.strip()]
            yield value.digest, itemsize(parts[1]) * prod(shape)
