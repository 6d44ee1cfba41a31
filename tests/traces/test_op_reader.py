"""Ops that draw random numbers have the state of their generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch.nn import functional as F

from tests.traces.tracing import find_divergence, find_op, have_equal_traces, run_untraced, trace_call

X = torch.full((8,), 0.5)
Q = torch.rand(1, 1, 4, 8)

DRAWING: dict[str, Callable[[], object]] = {
    "rand": lambda: torch.rand(3),
    "randn": lambda: torch.randn(3),
    "randint": lambda: torch.randint(9, (8,)),
    "randperm": lambda: torch.randperm(9),
    "rand_like": lambda: torch.rand_like(X),
    "bernoulli": lambda: torch.bernoulli(X),
    "multinomial": lambda: torch.multinomial(X, 3),
    "normal": lambda: torch.normal(X, X),
    "poisson": lambda: torch.poisson(X * 9),
    "normal_": lambda: torch.empty(3).normal_(),
    "uniform_": lambda: torch.empty(3).uniform_(),
    "exponential_": lambda: torch.empty(3).exponential_(),
    "random_": lambda: torch.empty(3).random_(),
    "dropout": lambda: F.dropout(X, 0.5),
    "alpha dropout": lambda: F.alpha_dropout(X, 0.5, training=True),
    "rrelu": lambda: F.rrelu(-X, training=True),
    "gumbel": lambda: F.gumbel_softmax(X),
    "out": lambda: torch.rand(3, out=torch.empty(3)),
    "attention": lambda: F.scaled_dot_product_attention(Q, Q, Q, dropout_p=0.5),
    "gamma": lambda: torch._standard_gamma(X),
}


@pytest.mark.parametrize("draw", DRAWING.values(), ids=DRAWING)
def test_generator_state_is_an_input(draw: Callable[[], object]) -> None:
    def program(seed: int) -> Callable[[], object]:
        return lambda: (torch.manual_seed(seed), draw())

    assert have_equal_traces(program(1), program(1))
    found = find_divergence(program(1), program(2))
    assert (found.kind, found.random) == ("input", True)
    drawing = [op for op in trace_call(program(1)) if op.generator_state]
    assert drawing
    assert all("" not in op.outputs for op in drawing)


def test_a_generator_argument_replaces_the_default_generator() -> None:
    def program(seed: int, argument_seed: int) -> Callable[[], object]:
        def run() -> None:
            torch.manual_seed(seed)
            torch.rand(3, generator=torch.Generator().manual_seed(argument_seed))
            torch.empty(3).normal_(generator=torch.Generator().manual_seed(argument_seed))

        return run

    assert have_equal_traces(program(1, 3), program(2, 3))
    found = find_divergence(program(1, 3), program(1, 4))
    assert (found.kind, found.op, found.random) == ("input", "aten.rand.generator", True)


def test_state_is_read_before_the_op() -> None:
    def program() -> None:
        torch.manual_seed(0)
        torch.rand(3)
        torch.rand(3)

    first, second = (op for op in trace_call(program) if op.generator_state)
    assert first.generator_state != second.generator_state
    assert first.generator_state == next(op.generator_state for op in trace_call(program))


@pytest.mark.parametrize(
    "call",
    [
        lambda: F.dropout(X, 0.5, training=False),
        lambda: F.scaled_dot_product_attention(Q, Q, Q),
        lambda: torch.native_dropout(X, 0.5, train=False),
        lambda: torch.ones(3).add(1),
        lambda: torch.zeros(3).fill_(2),
    ],
)
def test_ops_that_draw_nothing_have_no_state(call: Callable[[], Any]) -> None:
    torch.manual_seed(0)
    first = trace_call(lambda: (call(), X.clone()))
    torch.manual_seed(1)
    assert have_equal_traces(lambda: (call(), X.clone()), lambda: (call(), X.clone()))
    assert [op.generator_state for op in first] == [""] * len(first)


def test_untraced_seeding_is_found_at_the_next_draw() -> None:
    """Another thread, which is not traced, seeds the generator."""
    seeds_again = iter([False, True])

    def program() -> None:
        torch.manual_seed(0)
        X.add(1)
        if next(seeds_again):
            run_untraced(lambda: torch.default_generator.manual_seed(1))
        F.dropout(X, 0.5)

    found = find_divergence(program, program)
    assert (found.kind, found.random) == ("input", True)
    assert "bernoulli_" in found.op or "dropout" in found.op


def test_unreadable_generators_do_not_stop_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("Cannot call CUDAGeneratorImpl::current_seed during CUDA graph capture")

    monkeypatch.setattr("pytest_repro.traces.op_reader.hide_from_modes", broken)
    found = trace_call(lambda: torch.rand(3))
    assert (find_op(found, "rand.default").generator_state, len(found[0].outputs)) == ("", 1)
