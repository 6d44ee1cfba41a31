"""Experiments and their answers travel as plain data, and arrive as they were."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.diagnose import (
    Change,
    Experiment,
    ExperimentResult,
    ExternalCall,
    decode_experiment,
    decode_result,
    encode_experiment,
    encode_result,
)
from pytest_repro.core.plan.plan import Cell
from pytest_repro.core.trace.divergence import LineStep
from pytest_repro.core.trace.trace import Op, Trace

NUMBERS = st.integers(0, 2**31)
TEXT = st.text(max_size=8)
VALUES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXT)
CELLS = st.builds(
    Cell, TEXT, VALUES, st.dictionaries(TEXT, VALUES, max_size=3), st.none() | st.tuples(TEXT, VALUES)
)
DIGESTS = st.lists(st.integers(1, 2**64 - 1).map("{:016x}".format), max_size=2).map(tuple)
OPS = st.tuples(st.sampled_from(["aten.add", "record x"]), DIGESTS, DIGESTS).map(lambda parts: Op(*parts))
TRACES = st.lists(OPS, max_size=4)
STEPS = st.builds(LineStep, TEXT, st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple))


@given(
    st.builds(
        Experiment,
        st.lists(CELLS, max_size=3).map(tuple),
        st.lists(TEXT, max_size=3).map(tuple),
        *[st.booleans()] * 6,
    )
)
def test_an_experiment_arrives_as_it_was(asked: Experiment) -> None:
    assert decode_experiment(encode_experiment(asked)) == asked


@given(
    st.builds(
        ExperimentResult,
        NUMBERS,
        st.lists(NUMBERS, max_size=3).map(tuple),
        TEXT,
        st.lists(st.builds(ExternalCall, TEXT, TEXT, TEXT, TEXT, NUMBERS), max_size=2).map(tuple),
        st.lists(st.builds(Change, TEXT, TEXT, TEXT), max_size=2).map(tuple),
        steps=st.lists(st.lists(STEPS, max_size=3).map(tuple), max_size=2).map(tuple),
        seconds=st.floats(0, 1e6),
        outcomes=st.lists(TEXT, max_size=2).map(tuple),
    ),
    st.lists(TRACES, max_size=2),
)
def test_an_answer_arrives_as_it_was_with_its_traces(tried: ExperimentResult, ops: list[list[Op]]) -> None:
    told = replace(tried, traces=tuple(map(Trace.from_ops, ops)))
    arrived = decode_result(encode_result(told))
    assert [list(trace) for trace in arrived.traces] == [list(trace) for trace in told.traces]
    for name in (
        "run_count",
        "differing",
        "reference_digest",
        "calls",
        "changes",
        "steps",
        "seconds",
        "outcomes",
    ):
        assert getattr(arrived, name) == getattr(told, name), name
    assert arrived.equal is not bool(told.differing)
