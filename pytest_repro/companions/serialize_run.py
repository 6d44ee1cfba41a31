"""A run and what it observed, as text that any Python reads: JSON, bytes as latin-1."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_repro.adapters import environment
from pytest_repro.core.plan.cell import Cell
from pytest_repro.core.runs.observation import Beside, Key, Leaf, Observation, Stored
from pytest_repro.core.runs.run import Run, Warned


def packed(run: Run, observations: Iterable[Observation]) -> str:
    """*run*, its *observations* and the environment as text; of large values only the digest."""
    told = {name: getattr(run, name) for name in _TOLD}
    rows = [_row(each) for each in observations]
    return json.dumps({"run": told, "environment": environment(), "observations": rows})


_TOLD = (
    "outcome", "seconds", "observations", "error", "error_type", "traceback", "left_out", "drew", "beyond",
    "warned", "checked",
)  # fmt: skip


def _row(each: Observation) -> list[Any]:
    stored = isinstance(each.content, Stored)
    content = each.content.digest if isinstance(each.content, Stored) else each.content.decode("latin-1")
    return [each.key, each.kind, each.element, each.shape, stored, content, each.facts, _told(each.beside)]


def _told(beside: Beside | None) -> list[Any] | None:
    """*beside*; of the logits only what they are."""
    if beside is None:
        return None
    leaf = beside.logits() if beside.logits is not None else None
    return [beside.sampling, leaf and [leaf.kind, leaf.element, leaf.shape, leaf.nbytes]]


def unpacked(text: str, cell: Cell) -> tuple[Run, dict[Key, Observation]]:
    """The run of *cell* that :func:`packed` made text of, and its observations by key."""
    found: Mapping[str, Any] = json.loads(text)
    unlike = _unlike(environment(), found["environment"], cell)
    told = dict(found["run"])
    told |= {"beyond": tuple(told["beyond"]), "warned": tuple(Warned(*each) for each in told["warned"])}
    run = Run(cell.axis, cell.value, setting=cell.setting, at=cell.at, unlike=unlike, **told)
    rows = (_observation(*row) for row in found["observations"])
    return run, {each.key: each for each in rows}


def _unlike(here: Mapping[str, str], there: Mapping[str, str], cell: Cell) -> dict[str, tuple[str, str]]:
    """What is not the same on both sides; of what is varied, and of libraries of one side, nothing."""
    both = (name for name in here if name in there and name not in cell.setting)
    return {name: (here[name], there[name]) for name in both if here[name] != there[name]}


def _observation(
    key: list[Any], kind: str, element: str, shape: list[int], stored: bool, content: str, facts: str,
    beside: list[Any] | None,
) -> Observation:  # fmt: skip
    name, step, path = key
    value = Stored(content) if stored else content.encode("latin-1")
    known = None if beside is None else _beside(*beside)
    return Observation((name, step, path), kind, element, tuple(shape), value, facts, known)


def _beside(sampling: Mapping[str, Any], logits: list[Any] | None) -> Beside:
    if logits is None:
        return Beside(sampling)
    kind, element, shape, nbytes = logits
    leaf = Leaf(kind, element, tuple(shape), nbytes, tuple)
    return Beside(sampling, lambda: leaf)
