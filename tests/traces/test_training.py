"""Whole programs: equal where they are, and parted where one bit was turned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from pytest_repro import first_divergence
from pytest_repro.core.trace.trace import Op
from tests.traces.tracing import line, names, only, outside, parted, traced

STEPS = 20


class MLP(nn.Module):
    shape = (8, 6)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.dropout = nn.Linear(6, 16), nn.Linear(16, 3), nn.Dropout(0.2)

    def forward(self, x: Any) -> Any:
        hidden = self.first(x).relu()  # where the first layer is
        return self.second(self.dropout(hidden))  # where the last layer is


class CNN(nn.Module):
    shape = (4, 1, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.second = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(36, 3)

    def forward(self, x: Any) -> Any:
        hidden = self.norm(self.first(x)).relu()  # where the first layer is
        return self.second(F.max_pool2d(hidden, 2).flatten(1))  # where the last layer is


class Transformer(nn.Module):
    shape = (2, 5, 8)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 3)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: Any) -> Any:
        hidden = self.encoder(self.first(x))  # where the first layer is
        return self.second(hidden.mean(1))  # where the last layer is


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


Touch = Callable[[Any, int], None]
MODELS = pytest.mark.parametrize("model", [MLP, CNN, Transformer])


def untouched(model: Any, step: int) -> None:
    """Nothing happens behind the program's back."""


def training(model: type[Any], touch: Touch = untouched, steps: int = STEPS) -> Callable[[], None]:
    def run() -> None:
        torch.manual_seed(0)
        net = model()
        x, y = torch.rand(model.shape), torch.randint(3, model.shape[:1])
        optimiser = torch.optim.Adam(net.parameters(), foreach=True)
        for step in range(steps):
            touch(net, step)
            optimiser.zero_grad()
            loss: Any = F.cross_entropy(net(x), y)
            loss.backward()  # backwards
            optimiser.step()
            loss.item()  # the end of a step

    return run


def turned(t: Any, bit: int = 0) -> None:
    """One bit of the last element of *t* turns: the lowest one is one ulp."""
    t.detach().view(torch.int32).view(-1)[-1] ^= 1 << bit


def steps_in(ops: Sequence[Op]) -> int:
    ends = line(training, "# the end of a step")
    return sum(op.location == ends for op in ops)


@MODELS
def test_a_seeded_training_is_the_same_twice(model: type[Any]) -> None:
    first, second = (traced(training(model)) for _ in range(2))
    assert first_divergence(first, second) is None
    assert len(first) > STEPS * 10
    assert steps_in(first) == STEPS
    assert any(name.startswith("_foreach_") for name in names(first))
    assert not [op for op in first if "" in op.outputs and "empty" not in op.name]
    thorough = traced(training(model), thorough=True)
    assert [(op.name, op.outputs) for op in thorough] == [(op.name, op.outputs) for op in first]


@MODELS
@pytest.mark.parametrize("layer", ["first", "second"])
def test_a_bit_of_a_weight_from_outside_is_found_where_it_is_read(model: type[Any], layer: str) -> None:
    torch.manual_seed(1)
    nets = [model() for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    turned(getattr(nets[1], layer).weight)
    x: Any = torch.rand(model.shape)

    def run(net: Any) -> Callable[[], object]:
        return lambda: (torch.manual_seed(0), net(x).sum().backward())

    found = parted(run(nets[0]), run(nets[1]))
    where = line(
        model.forward, "# where the first layer is" if layer == "first" else "# where the last layer is"
    )
    assert (found.kind, found.location, found.random) == ("input", where, False)
    assert found.op in ("aten.addmm.default", "aten.convolution.default")


@MODELS
@pytest.mark.parametrize("at", [0, 4])
def test_a_bit_turned_behind_torch_is_found_at_its_step(model: type[Any], at: int) -> None:
    def touch(bit: int) -> Touch:
        def at_its_step(net: Any, step: int) -> None:
            if step == at:
                outside(lambda: turned(net.second.weight, bit))

        return at_its_step

    where, steps = line(model.forward, "# where the last layer is"), at + 1
    # Whether one ulp of a weight shows in an output is a matter of rounding; as an input it does.
    for thorough, bit, kind in ((False, 22, "value"), (True, 0, "input")):
        found = parted(training(model, steps=steps), training(model, touch(bit), steps), thorough)
        assert (found.kind, found.location, found.op) == (kind, where, "aten.addmm.default")
        assert steps_in(traced(training(model, steps=steps))[: found.index]) == at


def noisy(step: int) -> Any:
    return torch.from_numpy(np.random.default_rng().normal(size=3))  # noise enters


def test_noise_of_numpy_is_found_where_it_enters() -> None:
    found = parted(lambda: noisy(0).mul(2), lambda: noisy(0).mul(2))
    assert (found.kind, found.op, found.location) == ("input", "from numpy", line(noisy, "# noise enters"))


@pytest.mark.parametrize(
    ("enter", "op"),
    [
        (torch.from_numpy, "from numpy"),
        (torch.tensor, "from numpy"),
        (torch.as_tensor, "from numpy"),
        (lambda array: torch.tensor(array.tolist()), "from Python"),
        (lambda array: torch.tensor(float(array[0])), "from Python"),
        (lambda array: torch.ones(3) * float(array[0]), "aten.mul.Tensor"),
        (lambda array: torch.full((3,), float(array[0])), "aten.full.default"),
        (lambda array: torch.ones(3).fill_(float(array[0])), "aten.fill_.Scalar"),
        (lambda array: torch.ones(3).__setitem__(0, float(array[0])), "from Python"),
        (lambda array: vars(torch)["from_dlpack"](array).clone(), "aten.clone.default"),
        (lambda array: torch.frombuffer(array, dtype=torch.float64).clone(), "aten.clone.default"),
        (lambda array: torch.Tensor(array.tolist()), "from Python"),
    ],
)
def test_whatever_way_data_enters_it_is_an_input(enter: Callable[[Any], Any], op: str) -> None:
    values = iter([np.array([1.0, 2.0]), np.array([1.0, 2.0]), np.array([1.0, 2.0]), np.array([1.5, 2.0])])
    assert first_divergence(*(traced(lambda: enter(next(values))) for _ in range(2))) is None
    found = parted(lambda: enter(next(values)), lambda: enter(next(values)))
    assert (found.kind, found.op) == ("input", op)


def branching(number: float) -> None:
    x: Any = torch.ones(3)
    if number > 0.5:
        x.sin().sum()  # one way
    else:
        x.cos().sum()  # the other way


def test_a_branch_is_another_path() -> None:
    found = parted(lambda: branching(0.3), lambda: branching(0.7))
    assert (found.kind, found.op, found.other_op) == ("path", "aten.cos.default", "aten.sin.default")
    assert found.location == line(branching, "# the other way")
    assert found.other_location == line(branching, "# one way")


def stopping(steps: int) -> None:
    x: Any = torch.ones(3)
    for _ in range(steps):
        x = x.mul(2)
        x.sum()  # last


def test_an_early_stop_is_told_with_the_first_op_beyond_it() -> None:
    found = parted(lambda: stopping(3), lambda: stopping(5))
    assert (found.kind, found.op, found.index, found.ended_trace) == ("length", "aten.mul.Tensor", 7, "first")
    assert parted(lambda: stopping(5), lambda: stopping(3)).ended_trace == "second"


def sparse(touch: Touch = untouched) -> Callable[[], None]:
    def run() -> None:
        torch.manual_seed(0)
        net = nn.Embedding(9, 4, sparse=True)
        optimiser: Any = torch.optim.SparseAdam(net.parameters())
        for step in range(3):
            touch(net, step)
            optimiser.zero_grad()
            net(torch.tensor([1, 2, 1])).square().sum().backward()
            optimiser.step()

    return run


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_sparse_gradients() -> None:
    def touch(net: Any, step: int) -> None:
        if step == 1:
            outside(lambda: turned(net.weight[:3]))

    first = traced(sparse())
    assert first_divergence(first, traced(sparse())) is None
    assert not [op for op in first if "" in op.outputs and "empty" not in op.name]
    found = parted(sparse(), sparse(touch))
    assert found.op == "aten.embedding.default"


@pytest.mark.parametrize("optimiser", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam"])
@pytest.mark.parametrize("way", ["foreach", "fused", "for loop"])
def test_optimisers_write_what_is_known(optimiser: str, way: str) -> None:
    if way == "fused" and optimiser in ("RMSprop", "NAdam"):
        pytest.skip("torch has none")
    options = {} if way == "for loop" else {way: True}
    w: Any = outside(lambda: torch.rand(3, requires_grad=True))
    made = getattr(torch.optim, optimiser)([w], **({"foreach": False} | options), lr=0.1)

    def program() -> None:
        for _ in range(2):
            made.zero_grad()
            w.square().sum().backward()
            made.step()
        w.clone()

    found = traced(program)
    assert found[-1].inputs == ()  # what the optimiser wrote is known
    written = [op for op in found[:-1] if found[-1].outputs[0] in op.outputs]
    assert written
    assert written[-1].location.startswith(__file__)


def test_sixteen_bits_and_mixed_precision() -> None:
    x, w = outside(lambda: (torch.rand(4, 4), torch.rand(4, 4, requires_grad=True)))
    other = outside(lambda: w.detach().clone().mul_(1.5).requires_grad_())

    def program(weight: Any) -> Callable[[], None]:
        def run() -> None:
            with torch.autocast("cpu", torch.bfloat16):
                torch.autograd.grad((x @ weight).sum(), weight)

        return run

    assert only(traced(program(w))[:3], "mm.default").kinds == ("bfloat16[4, 4]",)
    assert first_divergence(traced(program(w)), traced(program(w))) is None
    assert parted(program(w), program(other)).kind == "input"
