"""A run and what it observed, as text that any Python reads: JSON, bytes as latin-1."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_repro.adapters import environment
from pytest_repro.core.plan.cell import Cell
from pytest_repro.core.runs.observation import ContentRef, Key, Leaf, Observation, TokenContext
from pytest_repro.core.runs.run import RecordedWarning, Run


def encode_run(run: Run, observations: Iterable[Observation]) -> str:
    """*run*, its *observations* and the environment as text; of large values only the digest."""
    told = {name: getattr(run, name) for name in _RUN_FIELDS}
    rows = [_encode_observation(each) for each in observations]
    return json.dumps({"run": told, "environment": environment(), "observations": rows})


_RUN_FIELDS = (
    "outcome", "seconds", "observation_count", "error", "error_type", "traceback", "skipped_locals",
    "drew_on_axis", "past_log", "warnings", "failed_check",
)  # fmt: skip


def _encode_observation(observation: Observation) -> list[Any]:
    stored = isinstance(observation.content, ContentRef)
    content = (
        observation.content.digest
        if isinstance(observation.content, ContentRef)
        else observation.content.decode("latin-1")
    )
    return [
        observation.key,
        observation.kind,
        observation.dtype,
        observation.shape,
        stored,
        content,
        observation.metadata,
        _encode_token_context(observation.token_context),
    ]


def _encode_token_context(context: TokenContext | None) -> list[Any] | None:
    """*context*; of the logits only what they are."""
    if context is None:
        return None
    leaf = context.load_logits() if context.load_logits is not None else None
    return [context.sampling, leaf and [leaf.kind, leaf.dtype, leaf.shape, leaf.nbytes]]


def decode_run(text: str, cell: Cell) -> tuple[Run, dict[Key, Observation]]:
    """The run of *cell* that :func:`encode_run` made text of, and its observations by key."""
    found: Mapping[str, Any] = json.loads(text)
    unlike = _diff_environments(environment(), found["environment"], cell)
    told = dict(found["run"])
    told |= {
        "past_log": tuple(told["past_log"]),
        "warnings": tuple(RecordedWarning(*each) for each in told["warnings"]),
    }
    run = Run(
        cell.axis, cell.value, setting=cell.setting, repeat_of=cell.repeat_of, environment_diff=unlike, **told
    )
    rows = (_decode_observation(*row) for row in found["observations"])
    return run, {each.key: each for each in rows}


def _diff_environments(
    here: Mapping[str, str], there: Mapping[str, str], cell: Cell
) -> dict[str, tuple[str, str]]:
    """What is not the same on both sides; of what is varied, and of libraries of one side, nothing."""
    both = (name for name in here if name in there and name not in cell.setting)
    return {name: (here[name], there[name]) for name in both if here[name] != there[name]}


def _decode_observation(
    key: list[Any], kind: str, element: str, shape: list[int], stored: bool, content: str, facts: str,
    context: list[Any] | None,
) -> Observation:  # fmt: skip
    name, step, path = key
    value = ContentRef(content) if stored else content.encode("latin-1")
    known = None if context is None else _decode_token_context(*context)
    return Observation((name, step, path), kind, element, tuple(shape), value, facts, known)


def _decode_token_context(sampling: Mapping[str, Any], logits: list[Any] | None) -> TokenContext:
    if logits is None:
        return TokenContext(sampling)
    kind, element, shape, nbytes = logits
    leaf = Leaf(kind, element, tuple(shape), nbytes, tuple)
    return TokenContext(sampling, lambda: leaf)
