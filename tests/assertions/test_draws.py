"""Which generators a block moves, and what in it moves them."""

from __future__ import annotations

import inspect
import random
import sys
from typing import Any

import numpy as np
import pytest

import pytest_repro
from pytest_repro.assertions.draws import Draw, Draws
from tests.conftest import Project, untraced

torch = pytest.importorskip("torch")
nn: Any = torch.nn
HERE = "tests/assertions/test_draws.py"
OWN = random.Random(0)


class Encoder(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.dropout = nn.Linear(4, 4), nn.Dropout(0.5)

    def forward(self, x: Any) -> Any:
        return self.dropout(self.linear(x))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_module_is_named() -> None:
    module = torch.jit.script(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)))
    with pytest_repro.track_draws() as found:
        module(torch.ones(1, 2))
    assert "torch cpu" in str(found)


class Net(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.heads = Encoder(), nn.ModuleList([nn.Linear(4, 2), nn.Dropout(0.5)])

    def forward(self, x: Any) -> Any:
        for head in self.heads:
            x = head(self.encoder(x)) if head is self.heads[0] else head(x)
        return x


class Noisy(nn.Module):  # type: ignore[misc]
    """Draws itself, from numpy and from torch, in whatever mode."""

    def __init__(self) -> None:
        super().__init__()
        self.rng = np.random.default_rng(0)

    def forward(self, x: Any) -> Any:
        return x + self.rng.normal() + torch.rand(1)


@pytest.fixture(autouse=True)
def here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(request.config.rootpath)


def line_of(function: Any, text: str) -> str:
    lines, start = inspect.getsourcelines(function)
    return f"{HERE}:{start + next(i for i, each in enumerate(lines) if text in each)}"


def told(drawn: Draws) -> list[tuple[str, str]]:
    return [(each.generator, each.source) for each in drawn.entries]


def test_each_dropout_is_named_with_its_mode_and_line() -> None:
    model = Net()
    with pytest_repro.track_draws() as drawn:
        model(torch.ones(1, 4))
    asked = line_of(Encoder.forward, "self.dropout(")
    assert drawn.entries[0] == Draw("torch cpu", "model.encoder.dropout (Dropout, training)", asked)
    assert [each.source for each in drawn.entries[1:]] == ["model.heads[1] (Dropout, training)"]
    model.eval()
    with pytest_repro.track_draws() as drawn:
        model(torch.ones(1, 4))
    assert not drawn
    assert str(drawn) == "nothing was drawn"


@untraced
def test_a_module_of_the_users_own_is_named_with_the_line_that_drew() -> None:
    layers = {"noise": Noisy().eval()}
    with pytest_repro.track_draws() as drawn:
        layers["noise"](torch.ones(1))
    by, at = "layers['noise'] (Noisy, evaluation)", line_of(Noisy, "return x + self")
    assert set(drawn.entries) == {
        Draw("torch cpu", by, at),
        Draw("layers['noise'].rng (numpy.random.Generator)", by, at),
    }


@pytest.mark.parametrize(
    ("move", "generator"),
    [
        (random.random, "random"),
        (OWN.random, "OWN (random.Random)"),
        (np.random.rand, "numpy.random"),
        (lambda: torch.rand(1), "torch cpu"),
        (lambda: torch.randperm(3), "torch cpu"),
        (lambda: np.random.default_rng(), None),
        (lambda: torch.ones(2).sum(), None),
        (lambda: random.seed(0) or random.seed(0), None),
    ],
)
def test_global_generators_are_seen(move: Any, generator: str | None) -> None:
    random.seed(0)
    with pytest_repro.track_draws() as drawn:
        move()
    assert told(drawn) == ([(generator, "")] if generator else [])


@pytest.mark.parametrize(
    ("made", "kind", "drew"),
    [
        (lambda: np.random.default_rng(0), "numpy.random.Generator", lambda g: g.random()),
        (lambda: np.random.RandomState(0), "numpy.random.RandomState", lambda g: g.rand()),
        (lambda: np.random.PCG64(0), "numpy.random.PCG64", lambda g: np.random.Generator(g).random()),
        (lambda: torch.Generator(), "torch.Generator", lambda g: torch.rand(1, generator=g)),
        (lambda: random.Random(0), "random.Random", lambda g: g.random()),
    ],
)
def test_a_generator_that_variables_lead_to_is_named_by_the_way(made: Any, kind: str, drew: Any) -> None:
    holder = {"parts": [made(), made()]}
    with pytest_repro.track_draws() as drawn:
        drew(holder["parts"][1])
    assert told(drawn) == [(f"holder['parts'][1] ({kind})", "")]


def test_a_failure_names_what_drew() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
    with pytest.raises(AssertionError) as caught, pytest_repro.assert_no_draws():
        model(torch.ones(1, 4))
    block = line_of(test_a_failure_names_what_drew, "assert_no_draws()")
    call = line_of(test_a_failure_names_what_drew, "        model(")
    assert str(caught.value) == (
        f"the block at {block} drew random numbers\n\n"
        f"  torch cpu   model[1] (Dropout, training)   {call}\n\n"
        "  look for   a module in training mode: model.eval() before inference"
    )
    with pytest.raises(AssertionError, match="look for   sampling"), pytest_repro.assert_no_draws():
        torch.rand(1)
    with (
        pytest.raises(AssertionError, match=r"before inference\n {13}sampling"),
        pytest_repro.assert_no_draws(),
    ):
        model(torch.rand(1, 4))


def sampled() -> float:
    total = 0.0
    for _ in range(3):
        total += random.gauss(0, 1)
    return total + np.random.rand()


@untraced
def test_each_line_that_drew_is_named() -> None:
    state = random.getstate()
    with pytest_repro.track_draws() as drawn:
        sampled()
        random.shuffle([1, 2, 3])
    random.setstate(state)
    with pytest_repro.track_draws() as put_back:
        random.random()
        random.setstate(state)
    here = test_each_line_that_drew_is_named
    assert [(each.generator, each.location) for each in drawn.entries] == [
        ("random", line_of(sampled, "random.gauss")),
        ("numpy.random", line_of(sampled, "np.random.rand")),
        ("random", line_of(here, "random.shuffle")),
    ]
    assert not put_back


def test_lines_are_left_to_a_debugger_and_to_a_coverage_tool() -> None:
    model = nn.Dropout(0.5)
    lines: list[int] = []

    def trace(frame: Any, event: str, argument: object) -> Any:
        lines.append(frame.f_lineno)
        return trace

    before: Any = sys.gettrace()
    sys.settrace(trace)
    try:
        with pytest_repro.track_draws() as drawn:
            sampled()
            model(torch.ones(2))
        assert sys.gettrace() is trace
    finally:
        sys.settrace(before)
    call = line_of(test_lines_are_left_to_a_debugger_and_to_a_coverage_tool, "model(")
    assert {(each.generator, each.location) for each in drawn.entries} == {
        ("random", ""), ("numpy.random", ""), ("torch cpu", call),
    }  # fmt: skip
    assert len(lines) > 10


@untraced
def test_after_so_many_lines_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_repro.engine.experiments.line_trace.MAX_LINES", 5)
    with pytest_repro.track_draws() as drawn:
        sampled()
    assert [each.location != "" for each in drawn.entries] == [True, False, False]
    assert sys.gettrace() is None


def test_an_error_of_the_block_is_not_hidden_and_nothing_stays_hooked() -> None:
    hooks = torch.nn.modules.module
    before = len(hooks._global_forward_hooks), len(hooks._global_forward_pre_hooks)
    loader = torch.utils.data.dataloader._BaseDataLoaderIter.__init__
    for error in (KeyError, KeyboardInterrupt):
        with pytest.raises(error), pytest_repro.assert_no_draws():
            torch.rand(1)
            raise error
    assert before == (len(hooks._global_forward_hooks), len(hooks._global_forward_pre_hooks))
    assert torch.utils.data.dataloader._BaseDataLoaderIter.__init__ is loader


def test_a_module_that_raises_is_left() -> None:
    broken, rest = nn.Linear(3, 3), nn.Dropout(0.5)
    with pytest_repro.track_draws() as drawn:
        with pytest.raises(RuntimeError):
            broken(torch.ones(1, 4))
        rest(torch.ones(4))
    assert told(drawn) == [("torch cpu", "rest (Dropout, training)")]


@untraced
def test_a_loaders_seed_for_its_workers_is_no_sampling_but_a_shuffle_is() -> None:
    plain = torch.utils.data.DataLoader([1, 2, 3])
    shuffled = torch.utils.data.DataLoader([1, 2, 3], shuffle=True)
    with pytest_repro.assert_no_draws() as drawn:
        list(plain)
    assert told(drawn) == [("torch cpu", "plain (DataLoader, a seed for its workers)")]
    with pytest.raises(AssertionError, match=r"torch cpu   [^ ]*:\d+\n"), pytest_repro.assert_no_draws():
        list(shuffled)


def test_inference_that_samples_fails_though_every_run_is_seeded(project: Project) -> None:
    project("""
        import torch
        from pytest_repro import assert_no_draws, track_draws

        def test_a(repro):
            model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5))
            repro.record(out=model(torch.ones(1, 2)))

        def test_b(repro):
            model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5))
            with assert_no_draws():
                repro.record(out=model(torch.ones(1, 2)))

        def test_c(repro):
            model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5)).eval()
            with assert_no_draws():
                repro.record(out=model(torch.ones(1, 2)))
            with track_draws() as drawn:
                torch.rand(1)
            assert [each.generator for each in drawn.entries] == ["torch cpu"]

        def test_d(repro):
            with assert_no_draws():
                torch.ones(3)
    """).check(
        passed=3, failed=1, says="torch cpu   model[1] (Dropout, training)   test_it.py:11", lacks="draws.py"
    )
