"""Trainings that are stopped and resumed: what the checkpoint lacks is named."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import pytest

from pytest_repro import NotReproducible, assert_resumable
from pytest_repro.assertions.plain_values import find_plain_values
from tests.conftest import Project

torch = pytest.importorskip("torch")
nn: Any = torch.nn

DATA = torch.randn(24, 6, generator=torch.Generator().manual_seed(3))
GLOBAL = {"torch": torch.get_rng_state, "numpy": np.random.get_state, "random": random.getstate}


class Training:
    """Adam on a schedule, dropout, batches drawn by a generator, noise from numpy and ``random``."""

    def __init__(self) -> None:
        self.model = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 1))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.1)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 2, gamma=0.5)
        self.batches = torch.Generator().manual_seed(7)
        self.rng = np.random.default_rng(5)
        self.average = torch.zeros(6)
        self.step = 0

    def train(self) -> Any:
        rows = torch.randint(24, (8,), generator=self.batches)
        noise = np.random.rand() + random.random() + self.rng.random()
        loss = (self.model(DATA[rows]) * noise).square().mean() + 0.01 * self.step
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        self.average.mul_(0.9).add_(self.model[0].weight.detach().sum(0))
        self.step += 1
        return loss.detach()


def train(state: Training, steps: int) -> Iterator[Any]:
    return (state.train() for _ in range(steps))


def save(state: Training) -> dict[str, Any]:
    return {
        "model": state.model.state_dict(), "optimizer": state.optimizer.state_dict(),
        "scheduler": state.scheduler.state_dict(), "batches": state.batches.get_state(),
        "rng": state.rng.bit_generator.state, "average": state.average, "step": state.step,
        **{name: get() for name, get in GLOBAL.items()},
    }  # fmt: skip


PUT: dict[str, Callable[[Training, Any], Any]] = {
    "model": lambda state, saved: state.model.load_state_dict(saved),
    "optimizer": lambda state, saved: state.optimizer.load_state_dict(saved),
    "scheduler": lambda state, saved: state.scheduler.load_state_dict(saved),
    "batches": lambda state, saved: state.batches.set_state(saved),
    "rng": lambda state, saved: setattr(state.rng.bit_generator, "state", saved),
    "average": lambda state, saved: state.average.copy_(saved),
    "step": lambda state, saved: setattr(state, "step", saved),
    "torch": lambda state, saved: torch.set_rng_state(saved),
    "numpy": lambda state, saved: np.random.set_state(saved),
    "random": lambda state, saved: random.setstate(saved),
}
NAMES = {
    "model": "state.model (Sequential)   save and load it: .state_dict(), .load_state_dict(…)",
    "optimizer": "state.optimizer (Adam)   save and load it: .state_dict(), .load_state_dict(…)",
    "scheduler": "state.scheduler (StepLR)   save and load it: .state_dict(), .load_state_dict(…)",
    "batches": "state.batches (torch.Generator)   save and load it: .get_state(), .set_state(…)",
    "rng": "state.rng (numpy.random.Generator)   save and load it: .bit_generator.state, .bit_g",
    "average": "state.average (Tensor)   save and load it: its value",
    "step": "state.step (int)   save and load it: its value",
    "torch": "torch cpu   save and load it: torch.get_rng_state(), torch.set_rng_state(…)",
    "numpy": "numpy.random   save and load it: numpy.random.get_state(), numpy.random.set_state(…)",
    "random": "random   save and load it: random.getstate(), random.setstate(…)",
}


def loading(*forgotten: str) -> Callable[[Training, Any], None]:
    def load(state: Training, checkpoint: dict[str, Any]) -> None:
        for name, put in PUT.items():
            if name not in forgotten:
                put(state, checkpoint[name])

    return load


def missing(load: Any, train: Any = train, make: Any = Training) -> list[str]:
    """The lines that say what is missing."""
    with pytest.raises(NotReproducible) as caught:
        assert_resumable(train, save, load, make=make, at=3)
    assert caught.value.verdict.outcome == "diverged"
    _, _, told = str(caught.value).partition("\n  missing    ")
    return [line.strip() for line in told.splitlines()]


def test_what_is_saved_as_a_whole_is_resumable() -> None:
    verdict = assert_resumable(train, save, loading(), make=Training, at=3)
    assert verdict.reproduced
    assert len(verdict.runs) == 2


@pytest.mark.parametrize("forgotten", PUT)
def test_what_is_missing_is_named_with_how_to_save_it(forgotten: str) -> None:
    first, *rest = missing(loading(forgotten))
    assert first.startswith(NAMES[forgotten])
    assert rest[0].startswith("with it restored, training continues")


def test_several_that_are_missing_are_all_named_and_nothing_else() -> None:
    lines = missing(loading("optimizer", "torch", "step"))
    assert [line.split("   ")[0].strip() for line in lines[:4]] == [
        "state.optimizer (Adam)", "state.step (int)", "torch cpu",
        "with them restored, training continues as if it had not stopped:",
    ]  # fmt: skip


def test_what_differs_and_changes_nothing_is_not_named() -> None:
    class Counted(Training):
        def __init__(self) -> None:
            super().__init__()
            self.history: list[int] = []

        def train(self) -> Any:
            self.history.append(self.step)
            return super().train()

    assert missing(loading("numpy"), make=Counted)[0].startswith("numpy.random ")
    assert assert_resumable(train, save, loading(), make=Counted, at=2, steps=3).reproduced


def test_a_buffer_that_no_state_dict_holds() -> None:
    class Seen(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(()), persistent=False)

        def forward(self, x: Any) -> Any:
            self.seen += 1
            return x * self.seen

    def make() -> Training:
        state = Training()
        state.model.append(Seen())
        return state

    assert missing(loading(), make=make)[0].startswith("state.model (Sequential)")


def test_the_place_in_an_epoch_is_lost_by_stopping() -> None:
    def lines(state: Training, steps: int) -> Any:
        rows = iter(DATA)  # starts again in each call
        return [state.train() + next(rows).sum() for _ in range(steps)]

    assert missing(loading(), train=lines)[0].startswith("nothing that save() and load() could restore")


def test_what_cannot_be_seen_is_told_as_such() -> None:
    hidden = [0]

    def make() -> Training:
        hidden[0] = 0
        return Training()

    def count(state: Training, steps: int) -> Iterator[Any]:
        for _ in range(steps):
            hidden[0] += 1
            yield state.train() * hidden[0]

    lines = missing(loading("step"), train=count, make=make)
    assert lines[0].startswith("something not in the state")
    assert lines[1] == "note       not as it was at the stop: state.step (int)"


def test_the_whole_failure_and_where_it_begins() -> None:
    class State:
        def __init__(self) -> None:
            self.weight = np.zeros(1)
            self.speed = 0.0

    def go(state: State, steps: int) -> list[float]:
        for _ in range(steps):
            state.speed += 1
            state.weight += state.speed
        return [state.speed] * steps

    def put(state: State, checkpoint: Any) -> None:
        state.weight = checkpoint

    with pytest.raises(NotReproducible) as caught:
        assert_resumable(go, lambda state: state.weight, put, make=State, at=2, steps=3, rtol=1e-6, atol=0.0)
    assert str(caught.value) == (
        f"{go.__qualname__} is not resumable (within rtol 1e-06 and atol 0, seed 0): "
        "stopped after 2 of 3 steps, it continues differently\n"
        "\n"
        "  train()[2]   float   max abs 2, max rel 0.667, max ulp over 2**52\n"
        "  state.weight (ndarray)   float64[1]   max abs 2, max rel 0.333, max ulp over 2**50\n"
        "\n"
        "  missing    state.speed (float)   save and load it: its value\n"
        "             with it restored, training continues as if it had not stopped:\n"
        "             the checkpoint lacks it, or load() does not restore it"
    )


class Held(NamedTuple):
    weights: list[Any]
    average: Any


def held() -> list[Any]:
    """A training in plain tensors: their holder, in the four shapes that are written."""
    weight, average = torch.ones(3), torch.zeros(3)
    return [
        (weight, average), [weight, average], {"weights": [weight], "average": average},
        Held([weight], average),
    ]  # fmt: skip


@pytest.mark.parametrize(("at", "average"), list(enumerate(("[1]", "[1]", "['average']", ".average"))))
def test_tensors_are_found_in_whatever_holds_them(at: int, average: str) -> None:
    def tensors(state: Any) -> tuple[Any, Any]:
        first, last = state.values() if isinstance(state, dict) else state
        return (first[0] if isinstance(first, list) else first), last

    def train(state: Any, steps: int) -> list[float]:
        weight, mean = tensors(state)
        for _ in range(steps):
            mean.mul_(0.9).add_(weight)
            weight.mul_(1.1)
        return [1.0] * steps

    def load(state: Any, saved: Any) -> None:
        tensors(state)[0].copy_(saved)

    with pytest.raises(NotReproducible) as failure:
        assert_resumable(train, lambda state: tensors(state)[0], load, make=lambda: held()[at], at=2, steps=3)
    said = str(failure.value)
    assert f"  missing    state{average} (Tensor)   save and load it: its value" in said
    assert said.count("save and load it") == 1
    assert "continues as if it had not stopped" in said

    def forgetful(state: Any, saved: Any) -> None:
        tensors(state)[1].copy_(saved)

    with pytest.raises(NotReproducible, match="missing"):  # a list of tensors is learnt, too
        assert_resumable(
            train, lambda state: tensors(state)[1], forgetful, make=lambda: held()[at], at=2, steps=3
        )


def test_masked_arrays_are_found_and_restored() -> None:
    mean = np.ma.array([1.0, 2.0], mask=[False, True])
    (part,) = find_plain_values("state", {"mean": mean}, is_root=True)
    saved = part.read()
    part.value[:] = 3.0
    part.restore(saved)
    assert part.path == "state['mean']"
    assert part.value.tolist() == [1.0, None]


def test_what_a_module_counts_is_a_part_and_no_state_dict_holds_it() -> None:
    class Cooled(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layer, self._calls = nn.Linear(6, 1), 0

        def forward(self, x: Any) -> Any:
            self._calls += 1
            return self.layer(x) / self._calls

    class Cooling(Training):
        def __init__(self) -> None:
            super().__init__()
            self.model = nn.Sequential(nn.Linear(6, 6), Cooled())
            self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.1)
            self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 2, gamma=0.5)

    first, *_ = missing(loading(), make=Cooling)
    assert first == "state.model.1._calls (int)   save and load it: its value"


def test_a_history_that_grows_is_not_learnt() -> None:
    class Kept(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.seen = nn.Linear(6, 1), list[Any]()

        def forward(self, x: Any) -> Any:
            self.seen.append(x.detach())
            return self.layer(x)

    class Keeping(Training):
        def __init__(self) -> None:
            super().__init__()
            self.model = nn.Sequential(nn.Linear(6, 6), Kept())
            self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.1)
            self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 2, gamma=0.5)

    assert assert_resumable(train, save, loading(), make=Keeping, at=2, steps=4).reproduced


def test_a_save_that_changes_the_state_is_told() -> None:
    def rounds(state: Training) -> Any:
        state.model.half().float()
        return save(state)

    def load(state: Training, saved: Any) -> Any:
        for name, put in PUT.items():
            put(state, saved[name])
        return state.model.load_state_dict(saved["model"])

    with pytest.raises(NotReproducible) as failure:
        assert_resumable(train, rounds, load, make=Training, at=2, steps=3)
    said = str(failure.value)
    assert "  changed    state.model (Sequential): save() changed the state it should only read" in said
    assert "missing" not in said
    assert "besides" not in said


def test_a_training_that_is_not_reproducible_is_told_from_one_that_is_not_resumable() -> None:
    def draws(state: Training, steps: int) -> list[float]:
        return [np.random.default_rng().random() for _ in range(steps)]

    with pytest.raises(
        NotReproducible, match=r"train\(\)\[3\] differs between two uninterrupted trainings \(compared from"
    ):
        assert_resumable(draws, save, loading(), make=Training, at=3)


def test_a_checkpoint_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"

    def write(state: Training) -> None:
        torch.save({"model": state.model.state_dict()}, path)

    def read(state: Training, checkpoint: None) -> None:
        state.model.load_state_dict(torch.load(path)["model"])

    with pytest.raises(NotReproducible, match=r"state\.optimizer"):
        assert_resumable(train, write, read, make=Training, at=2)


def test_every_generator_is_as_before() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index]
    missing(loading("torch"))
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index]
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"at": 0}, ValueError, "at=0: expected a number of steps, 1 or more"),
        ({"at": True}, ValueError, "at=True"),
        ({"at": 3, "steps": 3}, ValueError, "steps=3: expected a number of steps, more than at=3"),
        ({"at": 3, "make": None}, TypeError, "make: expected a function, not NoneType"),
        ({"at": 3, "seed": -1}, ValueError, "seed"),
        ({"at": 3, "deterministic": "no"}, ValueError, "deterministic='no': True, False or \"warn\""),
        ({"at": 3, "save": lambda state: Lock()}, TypeError, "save returned a lock that cannot be copied"),
        ({"at": 1, "make": dict, "train": lambda state, steps: None}, NotReproducible, "observed nothing"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: Any, error: type[Exception], says: str) -> None:
    given = {"train": train, "save": save, "load": loading(), "make": Training, **arguments}
    with pytest.raises(error, match=says.replace("(", r"\(")):
        assert_resumable(**given)


def test_algorithms_are_as_deterministic_as_is_asked(project: Project) -> None:
    project("""
        import pytest
        import torch
        from pytest_repro import assert_resumable

        def train(weight, steps):
            for _ in range(steps):  # put_ has no deterministic implementation
                weight.put_(torch.tensor([1]), torch.rand(1))
                yield weight.sum()

        def resumes(assertion, **asked):
            assertion(
                train, lambda weight: (weight.clone(), torch.get_rng_state()),
                lambda weight, saved: (weight.copy_(saved[0]), torch.set_rng_state(saved[1])),
                make=lambda: torch.zeros(3), at=2, **asked,
            )

        def test_true(repro):
            resumes(assert_resumable)

        @pytest.mark.reproducible(deterministic="warn")
        def test_warn(repro):
            with pytest.warns(UserWarning, match="deterministic implementation"):
                resumes(assert_resumable)

        @pytest.mark.reproducible(deterministic=False)
        def test_false(repro):
            resumes(assert_resumable)

        def test_function():
            resumes(assert_resumable, deterministic=False)
            with pytest.raises(RuntimeError, match="deterministic implementation"):
                resumes(assert_resumable)
    """).check(passed=3, failed=1, says=["FAILED test_it.py::test_true", "lets the op run"])


def test_deterministic_algorithms_are_off_where_their_cost_is_measured(project: Project) -> None:
    project(
        """
        import torch
        from pytest_repro import assert_resumable

        modes = []

        def train(weight, steps):
            modes.append(torch.are_deterministic_algorithms_enabled())
            return [float(weight)] * steps

        def test_a(repro):
            before = len(modes)
            assert_resumable(train, torch.clone, torch.Tensor.copy_, make=lambda: torch.ones(1), at=1)
            assert set(modes[before:]) == {torch.are_deterministic_algorithms_enabled()}

        def test_both():
            assert set(modes) == {True, False}
    """,
        "--repro-cost",
    ).check(passed=2)


def test_in_a_test(project: Project) -> None:
    project("""
        import torch
        from pytest_repro import assert_resumable

        def make():
            return torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5))

        def train(model, steps):
            for _ in range(steps):
                loss = model(torch.ones(4, 2)).square().mean()
                loss.backward()
                yield loss.detach()

        def test_a(repro):
            assert_resumable(
                train, lambda model: model.state_dict(), lambda model, saved: model.load_state_dict(saved),
                make=make, at=1,
            )

        def test_b(repro):
            assert_resumable(
                train, lambda model: (model.state_dict(), torch.get_rng_state()),
                lambda model, saved: (model.load_state_dict(saved[0]), torch.set_rng_state(saved[1])),
                make=make, at=1,
            )
    """).check(
        passed=1,
        failed=1,
        says=["train is not resumable", "missing    torch cpu"],
        lacks="resume.py",
    )
