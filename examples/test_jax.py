"""The parameters of a JAX training are compared path by path."""

from typing import Any

import pytest

from pytest_repro import Repro, assert_no_key_reuse

jax: Any = pytest.importorskip("jax")

Params = dict[str, dict[str, Any]]


def init(key: Any) -> Params:
    return {"dense": {"kernel": 0.1 * jax.random.normal(key, (4, 1)), "bias": jax.numpy.zeros(1)}}


def compute_loss(params: Params, x: Any, y: Any) -> Any:
    return ((x @ params["dense"]["kernel"] + params["dense"]["bias"] - y) ** 2).mean()


@pytest.mark.reproducible(process=True)
def test_training(repro: Repro) -> None:
    with assert_no_key_reuse():
        key, data = jax.random.split(jax.random.key(repro.seed))
        params, x = init(key), jax.random.normal(data, (32, 4))
    step = jax.jit(jax.value_and_grad(compute_loss))
    for _ in range(5):
        loss, gradients = step(params, x, x.sum(1, keepdims=True))
        params = jax.tree.map(lambda parameter, gradient: parameter - 0.1 * gradient, params, gradients)
        repro.record(loss=loss)
    repro.record(params=params)
