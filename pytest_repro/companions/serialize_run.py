"""A run and what it observed as JSON text, from one interpreter to another."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pytest_repro.adapters import environment
from pytest_repro.core.checked_json import JsonNode, parse_json
from pytest_repro.core.codec import Codec, Field
from pytest_repro.core.plan.plan import Cell
from pytest_repro.core.runs.observation import ContentRef, Key, Leaf, Observation, TokenContext
from pytest_repro.core.runs.run import Run


def encode_run(run: Run, observations: Iterable[Observation]) -> str:
    """*run*, its *observations* and the environment as text; of a large value only the digest."""
    rows = list(map(_CODEC.encode, observations))
    return json.dumps({"run": _CODEC.encode(run), "environment": environment(), "observations": rows})


def decode_run(text: str, cell: Cell) -> tuple[Run, dict[Key, Observation]]:
    """The run of *cell* that :func:`encode_run` made *text* of, and its observations by key.

    Raises:
        BadJson: *text* is something else.
    """
    root = parse_json(text, "run of another interpreter")
    here, there = environment(), root["environment"].as_str_mapping()
    # Without what is varied, and libraries that only one side has.
    shared = [name for name in here if name in there and name not in cell.setting]
    differing = {name: (here[name], there[name]) for name in shared if here[name] != there[name]}
    run = _CODEC.decode(Run, root["run"], **cell._asdict(), environment_diff=differing)
    observations = (_CODEC.decode(Observation, node) for node in root["observations"])
    return run, {observation.key: observation for observation in observations}


def _encode_logits(load_logits: Any) -> list[Any]:
    """Kind, dtype, shape and size of the logits, which do not travel."""
    leaf = load_logits()
    return [leaf.kind, leaf.dtype, leaf.shape, leaf.nbytes]


def _decode_logits(node: JsonNode) -> Any:
    kind, dtype, shape, nbytes = _CODEC.decode(tuple[str, str, tuple[int, ...], int], node)
    leaf = Leaf(kind, dtype, shape, nbytes, tuple)
    return lambda: leaf


_CODEC = Codec(
    {
        Run: (
            "outcome", "seconds", "observation_count", "error", "error_type", "traceback", "not_compared",
            "drew_on_axis", "past_log", "warnings", "failed_check",
        ),
        ContentRef: ("digest",),
        TokenContext: ("sampling", Field("load_logits", encode=_encode_logits, decode=_decode_logits)),
    }
)  # fmt: skip
