"""What counts at a level."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.plan.plan import LEVELS
from pytest_repro.core.runs.observation import Key, Observation, select_at_level


def observed(*rows: tuple[str, int, str, str, tuple[int, ...]]) -> dict[Key, Observation]:
    return {
        (name, step, path): Observation((name, step, path), element, element, shape, b"")
        for name, step, path, element, shape in rows
    }


RUN = observed(
    ("loss", 0, "", "float64", ()),
    ("loss", 1, "", "float32", ()),
    ("model", 0, "[0].weight", "float32", (2,)),
    ("model", 0, "[1].num_batches_tracked", "int64", ()),
    ("optimizer", 0, ".param_groups[0]['lr']", "float64", ()),
    ("scores", 0, "", "float32", (3,)),
    ("said", 0, "", "", ()),
    ("found", 0, "['labels']", "int64", (3,)),
    ("found", 0, "['accuracy']", "float64", ()),
    ("locals", 0, ".mask", "bool", (3,)),
    ("locals", 0, ".model.bias", "int8", (3,)),
    ("z", 0, "", "complex64", ()),
)
NUMBERS = {("loss", 1), ("said", 0), ("found", 0), ("locals", 0), ("z", 0)}


def test_numbers_and_predictions_count_and_what_objects_hold_does_not() -> None:
    assert select_at_level("bitwise", RUN) is RUN
    process = select_at_level("process", RUN)
    assert {key[:2] for key in process} == NUMBERS | {("loss", 0)}
    assert [key[2] for key in process if key[0] in ("found", "locals")] == [
        "['labels']", "['accuracy']", ".mask"
    ]  # fmt: skip
    assert {key[:2] for key in select_at_level("outcome", RUN)} == NUMBERS


def test_last_steps_are_called_alike_however_many_there_were() -> None:
    longer = observed(*(("loss", step, "", "float64", ()) for step in range(4)), ("new", 0, "", "int64", ()))
    found = select_at_level("outcome", longer, select_at_level("outcome", RUN))
    assert list(found) == [("loss", 1, ""), ("new", 0, "")]
    assert found["loss", 1, ""] is longer["loss", 3, ""]


KEYS = st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.sampled_from(["", "[0]", ".w"]))
SEEN = st.dictionaries(KEYS, st.tuples(st.sampled_from(["float32", "int8"]), st.sampled_from([(), (2,)])))


@given(SEEN)
def test_each_level_holds_what_the_next_one_does(found: Mapping[Key, tuple[str, tuple[int, ...]]]) -> None:
    run = observed(*((*key, element, shape) for key, (element, shape) in found.items()))
    for strict, lenient in pairwise(LEVELS):
        assert select_at_level(strict, run).items() >= select_at_level(lenient, run).items()


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_is_nothing(level: str) -> None:
    assert not select_at_level(level, {})  # type: ignore[arg-type]
