"""``assert_resumable`` names state that is None or absent at first."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_repro import NotReproducible, assert_resumable

torch = pytest.importorskip("torch")
nn: Any = torch.nn
ROWS = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))


class Recurrent(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.cell: Any = nn.LSTMCell(3, 3)
        self.hidden: Any = None

    def forward(self, rows: Any) -> Any:
        before = self.hidden and tuple(part.detach() for part in self.hidden)
        self.hidden = self.cell(rows, before)  # with its graph
        return self.hidden[0]


class Late(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.mean: Any
        self.register_buffer("mean", None, persistent=False)

    def forward(self, rows: Any) -> Any:
        result = self.layer(rows) + (0 if self.mean is None else self.mean)
        self.mean = result.detach() / 2
        return result


class Speed:
    def __init__(self) -> None:
        self.value = 0.0


def step_optimizer(state: Any) -> Any:
    if state.optimizer is None:
        state.optimizer = torch.optim.Adam(state.model.parameters(), lr=0.1)
    loss = state.model(ROWS).square().mean()
    state.optimizer.zero_grad()
    loss.backward()
    state.optimizer.step()
    return loss.detach()


def step_average(state: Any) -> Any:
    with torch.no_grad():
        state.model.weight.add_(1)
        state.average = copy.deepcopy(state.model) if state.average is None else state.average
        state.average.weight.lerp_(state.model.weight, 0.5)
        return state.average.weight.sum()


def step_module(state: Any) -> Any:
    with torch.enable_grad():
        return state.model(ROWS).detach().sum()


def step_plain(state: Any) -> Any:
    state.speed = 2.0 * (state.speed or 1)
    state.unused = state.loss = np.ones(2)
    return state.speed


def step_absent(state: Any) -> Any:
    state.seen = [*getattr(state, "seen", ()), 1]
    return len(state.seen)


def step_object(state: Any) -> Any:
    state.speed = state.speed or Speed()
    state.speed.value += 1
    return state.speed.value


def step_counts(state: Any) -> Any:
    state.counts["steps"] += 1
    return state.counts["steps"]


def step_generator(state: Any) -> Any:
    state.rng = state.rng or np.random.default_rng(3)
    return state.rng.random()


def step_once(state: Any) -> Any:
    first, state.first = state.first, None
    return first is None


@pytest.mark.parametrize(
    ("step", "members", "name"),
    [
        (step_plain, lambda: {"speed": None, "loss": None}, "state.speed (float)"),
        (step_plain, lambda: {"speed": 0}, "state.speed (float)"),
        (step_once, lambda: {"first": 1.0}, "state.first (NoneType)"),
        (step_absent, dict, "state.seen (list)"),
        (step_counts, lambda: {"counts": defaultdict(int)}, "state.counts['steps'] (int)"),
        (step_object, lambda: {"speed": None}, "state.speed (Speed)"),
        (step_generator, lambda: {"rng": None}, "state.rng (Generator)"),
        (step_module, lambda: {"model": Recurrent()}, "state.model.hidden (tuple)"),
        (step_module, lambda: {"model": Late()}, "state.model (Late)"),
        (step_optimizer, lambda: {"model": nn.Linear(3, 1), "optimizer": None}, "state.optimizer (Adam)"),
        (step_average, lambda: {"model": nn.Linear(3, 1), "average": None}, "state.average (Linear)"),
    ],
)
def test_it_is_named(step: Callable[[Any], Any], members: Callable[[], dict[str, Any]], name: str) -> None:
    def train(state: Any, steps: int) -> Iterator[Any]:
        return (step(state) for _ in range(steps))

    def save(state: Any) -> Any:
        return {name: part.state_dict() for name, part in vars(state).items() if name == "model"}

    def load(state: Any, saved: Any) -> None:
        for name, part in saved.items():
            vars(state)[name].load_state_dict(part)

    with pytest.raises(NotReproducible) as caught:
        assert_resumable(train, save, load, make=lambda: SimpleNamespace(**members()), at=2)
    _, _, missing = str(caught.value).partition("\n  missing    ")
    first, second, *_ = missing.splitlines()
    assert first.split("   ")[0] == name
    assert second.strip() == "with it restored, training continues as if it had not stopped:"
    cause = caught.value.verdict.cause
    assert cause is not None
    assert cause.name == "shared-state"
    assert name in cause.fix


def test_what_cannot_be_copied_is_told() -> None:
    def step(state: Any) -> Any:
        state.rows = state.rows or iter(torch.utils.data.DataLoader(list(range(9))))
        return next(state.rows)

    with pytest.raises(NotReproducible, match=r"not as it was at the stop: .*state\.rows"):
        assert_resumable(
            lambda state, steps: [step(state) for _ in range(steps)],
            lambda state: torch.get_rng_state(), lambda state, saved: torch.set_rng_state(saved),
            make=lambda: SimpleNamespace(rows=None), at=2,
        )  # fmt: skip
