"""A key of JAX that is consumed twice."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from pytest_repro import NotReproducible, assert_no_key_reuse
from tests.conftest import Project

jax: Any = pytest.importorskip("jax")


def draw(key: Any) -> Any:
    return jax.random.normal(key, (2,)) + jax.random.uniform(key, (2,))


LINE = f"test_key_reuse.py:{inspect.getsourcelines(draw)[1] + 1}"


@pytest.mark.parametrize("function", [draw, jax.jit(draw)], ids=["eager", "jit"])
def test_reuse_names_the_line(function: Any) -> None:
    key = jax.random.key(0)
    with pytest.raises(NotReproducible) as caught, assert_no_key_reuse():
        function(key)
    assert not jax.config.jax_debug_key_reuse
    lines = str(caught.value).splitlines()
    assert lines[0] == "a key of JAX is consumed twice: both draws get the same numbers"
    assert "test_key_reuse.py:" in lines[2]
    assert LINE in lines[2] or function is not draw
    assert lines[3].startswith("  jax says   ")


def test_keys_that_are_split_pass() -> None:
    with assert_no_key_reuse():
        first, second = jax.random.split(jax.random.key(0))
        jax.random.normal(first), jax.random.normal(second)
        jax.random.key_data(second)


def test_other_errors_pass_through() -> None:
    with pytest.raises(ZeroDivisionError), assert_no_key_reuse():
        raise ZeroDivisionError


def test_it_is_recorded_in_a_marked_test(project: Project) -> None:
    source = """
    import jax, pytest
    from pytest_repro import assert_no_key_reuse

    @pytest.mark.reproducible
    def test_passes():
        with assert_no_key_reuse():
            jax.random.normal(jax.random.key(0))

    @pytest.mark.reproducible
    def test_fails():
        with assert_no_key_reuse():
            key = jax.random.key(0)
            jax.random.normal(key)
            jax.random.normal(key)
    """
    result = project(source).check(passed=1, failed=1, says="  at         test_it.py:14")
    assert result.verdicts == {"test_passes": "reproduced", "test_fails": "diverged"}
