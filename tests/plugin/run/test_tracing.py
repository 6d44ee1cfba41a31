"""``--repro-trace``: the ops of the very runs that are compared."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest

from pytest_repro.core.plan.plan import Cell
from pytest_repro.core.runs.run import RunSpec
from pytest_repro.plugin.run.tracing import Tracer
from pytest_repro.traces import trace
from tests.conftest import Project, Result

pytest.importorskip("torch")

HEAD = """
import itertools
import pytest
import torch
numbers = itertools.count()
"""
TRACED = ("--repro-trace", "--repro-diagnose=never")


_CONTEXT = ("start", "context", "other_context")


def divergences(result: Result) -> dict[str, Any]:
    """What the report says of where each test parted, by its name."""
    found = {test["nodeid"].split("::", 1)[1]: test.get("divergence") for test in result.report["tests"]}
    return {
        name: each and {key: each[key] for key in each if key not in _CONTEXT} for name, each in found.items()
    }


def test_it_is_told_where_the_runs_parted(project: Project) -> None:
    source = """
    def test_input(repro):
        x = torch.ones(3)
        y = x * float(next(numbers))
        repro.record(y=y.sum())
    def test_path(repro):
        x = torch.ones(3)
        repro.record(y=x.sin() if next(numbers) % 2 else x.cos())
    def test_length(repro):
        x = torch.ones(3)
        for _ in range(next(numbers)):
            x = x.add(0)
        repro.record(y=x)
        repro.record(n=next(numbers))
    def test_equal(repro):
        repro.record(y=torch.ones(3).sum())
    """
    result = project(HEAD + dedent(source), *TRACED)
    result.check(failed=3, passed=1, says="op 1 aten.mul.Tensor   test_it.py:8: an input differs")
    found = divergences(result)
    assert found["test_input"] == {
        "kind": "input", "op": "aten.mul.Tensor", "index": 1, "location": "test_it.py:8",
    }  # fmt: skip
    assert (found["test_path"]["kind"], found["test_path"]["location"]) == ("path", "test_it.py:12")
    assert found["test_length"]["kind"] in ("path", "length")
    assert found["test_equal"] is None
    untold = project.again("--repro-diagnose=never").check(failed=3, passed=1)
    assert {*divergences(untold).values()} == {None}


def test_recorded_values_are_ops(project: Project) -> None:
    source = """
    def test_a(repro):
        repro.record(x=1.0)
        repro.record("x", float(next(numbers)))
        torch.ones(3).sum()
    """
    (found,) = divergences(project(HEAD + dedent(source), *TRACED).check(failed=1)).values()
    assert found == {"kind": "input", "op": "record x[1]", "index": 1, "location": "test_it.py:8"}


def test_set_up_counts_and_tear_down_does_not(project: Project) -> None:
    source = """
    @pytest.fixture
    def before():
        return torch.ones(3).mul(float(next(numbers)))
    @pytest.fixture
    def after():
        yield
        torch.ones(3).mul(float(next(numbers)))
    def test_before(repro, before):
        repro.record(y=before.sum())
    def test_after(repro, after, request):
        repro.record(y=torch.ones(3))
        assert not request.config.failing.pop()
    """
    project.write(conftest="def pytest_configure(config):\n    config.failing = [True, False]\n")
    result = project(HEAD + dedent(source), *TRACED).check(failed=2)
    found = divergences(result)
    assert (found["test_before"]["op"], found["test_before"]["index"]) == ("aten.mul.Tensor", 1)
    assert found["test_after"] is None  # one body failed, of which the ops were the same


def test_the_run_that_differed_is_the_one_that_is_compared(project: Project) -> None:
    source = """
    @pytest.mark.reproducible(runs=4)
    def test_a(repro):
        x = torch.ones(3)
        y = x.mul(2) if next(numbers) != 2 else x.mul(3)
        repro.record(y=y)
    """
    result = project(HEAD + dedent(source), *TRACED).check(failed=1)
    (found,) = divergences(result).values()
    assert (found["kind"], found["op"], found["index"]) == ("input", "aten.mul.Tensor", 1)


def test_a_trace_of_the_users_own_works_within(project: Project) -> None:
    source = """
    from pytest_repro import trace
    def test_a(repro):
        with trace() as found:
            torch.ones(3).add(1)
        assert [op.name for op in found] == ["aten.ones.default", "aten.add.Tensor"]
        repro.record(y=float(next(numbers)))
    """
    (found,) = divergences(project(HEAD + dedent(source), *TRACED).check(failed=1)).values()
    assert (found["op"], found["index"]) == ("record y", 2)


def test_a_run_that_did_not_count_is_in_no_trace(project: Project) -> None:
    """The one in which torch was first imported, and which is made again."""
    source = """
    import itertools
    numbers = itertools.count()
    def test_a(repro):
        import torch
        x = torch.ones(3)
        repro.record(x=x)
        repro.record(y=x.mul(float(next(numbers))))
    """
    result = project(source, *TRACED, "-p", "no:randomly", subprocess=True).check(failed=1)
    (found,) = divergences(result).values()
    assert (found["kind"], found["op"], found["index"]) == ("input", "aten.mul.Tensor", 2)


def test_what_an_experiment_traces_is_not_traced_again() -> None:
    import torch

    tracer, spec = Tracer(), RunSpec(Cell(), 0, 0, traced=True)
    for thorough, modes in ((True, 1), (False, 2)):
        with trace(thorough=thorough) as ops, tracer.trace_run(spec):
            assert torch._C._len_torch_dispatch_stack() == modes
            torch.ones(3) + 1
        assert [op.name for op in ops] == ["aten.ones.default", "aten.add.Tensor"]
    assert tracer.enabled
