"""Traces of whole programs: equal, or diverging where one bit was flipped."""

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
from tests.traces.tracing import find_divergence, find_line, find_op, op_names, run_untraced, trace_call

STEPS = 20


class MLP(nn.Module):
    shape = (8, 6)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.dropout = nn.Linear(6, 16), nn.Linear(16, 3), nn.Dropout(0.2)

    def forward(self, x: Any) -> Any:
        hidden = self.first(x).relu()  # first layer
        return self.second(self.dropout(hidden))  # last layer


class CNN(nn.Module):
    shape = (4, 1, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.second = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(36, 3)

    def forward(self, x: Any) -> Any:
        hidden = self.norm(self.first(x)).relu()  # first layer
        return self.second(F.max_pool2d(hidden, 2).flatten(1))  # last layer


class Transformer(nn.Module):
    shape = (2, 5, 8)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 3)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: Any) -> Any:
        hidden = self.encoder(self.first(x))  # first layer
        return self.second(hidden.mean(1))  # last layer


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


Change = Callable[[Any, int], None]
MODELS = pytest.mark.parametrize("model", [MLP, CNN, Transformer])


def do_nothing(model: Any, step: int) -> None:
    """The default change of a model before a step."""


def training(model: type[Any], change: Change = do_nothing, steps: int = STEPS) -> Callable[[], None]:
    def run() -> None:
        torch.manual_seed(0)
        net = model()
        x, y = torch.rand(model.shape), torch.randint(3, model.shape[:1])
        optimiser = torch.optim.Adam(net.parameters(), foreach=True)
        for step in range(steps):
            change(net, step)
            optimiser.zero_grad()
            loss: Any = F.cross_entropy(net(x), y)
            loss.backward()
            optimiser.step()
            loss.item()  # end of a step

    return run


def flip_bit(t: Any, bit: int = 0) -> None:
    """Flips a bit of the last element of *t*: bit 0 changes it by one ulp."""
    t.detach().view(torch.int32).view(-1)[-1] ^= 1 << bit


def count_steps(ops: Sequence[Op]) -> int:
    end_location = find_line(training, "# end of a step")
    return sum(op.location == end_location for op in ops)


@MODELS
def test_seeded_trainings_are_equal(model: type[Any]) -> None:
    first, second = (trace_call(training(model)) for _ in range(2))
    assert first_divergence(first, second) is None
    assert len(first) > STEPS * 10
    assert count_steps(first) == STEPS
    assert any(name.startswith("_foreach_") for name in op_names(first))
    assert not [op for op in first if "" in op.outputs and "empty" not in op.name]
    thorough = trace_call(training(model), thorough=True)
    assert [(op.name, op.outputs) for op in thorough] == [(op.name, op.outputs) for op in first]


@MODELS
@pytest.mark.parametrize("layer", ["first", "second"])
def test_bit_of_a_weight_is_found_where_it_is_read(model: type[Any], layer: str) -> None:
    torch.manual_seed(1)
    nets = [model() for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    flip_bit(getattr(nets[1], layer).weight)
    x: Any = torch.rand(model.shape)

    def run(net: Any) -> Callable[[], object]:
        return lambda: (torch.manual_seed(0), net(x).sum().backward())

    found = find_divergence(run(nets[0]), run(nets[1]))
    location = find_line(model.forward, "# first layer" if layer == "first" else "# last layer")
    assert (found.kind, found.location, found.random) == ("input", location, False)
    assert found.op in ("aten.addmm.default", "aten.convolution.default")


@MODELS
@pytest.mark.parametrize("changed_step", [0, 4])
def test_bit_flipped_outside_torch_is_found_at_its_step(model: type[Any], changed_step: int) -> None:
    def change(bit: int) -> Change:
        def change_at_step(net: Any, step: int) -> None:
            if step == changed_step:
                run_untraced(lambda: flip_bit(net.second.weight, bit))

        return change_at_step

    location, steps = find_line(model.forward, "# last layer"), changed_step + 1
    # One ulp of a weight may be rounded away in the output, but always shows as an input.
    for thorough, bit, kind in ((False, 22, "value"), (True, 0, "input")):
        found = find_divergence(training(model, steps=steps), training(model, change(bit), steps), thorough)
        assert (found.kind, found.location, found.op) == (kind, location, "aten.addmm.default")
        assert count_steps(trace_call(training(model, steps=steps))[: found.index]) == changed_step


def make_noise(step: int) -> Any:
    return torch.from_numpy(np.random.default_rng().normal(size=3))  # noise


def test_numpy_noise_is_found_where_it_enters() -> None:
    found = find_divergence(lambda: make_noise(0).mul(2), lambda: make_noise(0).mul(2))
    assert (found.kind, found.op, found.location) == ("input", "from numpy", find_line(make_noise, "# noise"))


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
def test_external_data_is_an_input(enter: Callable[[Any], Any], op: str) -> None:
    values = iter([np.array([1.0, 2.0]), np.array([1.0, 2.0]), np.array([1.0, 2.0]), np.array([1.5, 2.0])])
    assert first_divergence(*(trace_call(lambda: enter(next(values))) for _ in range(2))) is None
    found = find_divergence(lambda: enter(next(values)), lambda: enter(next(values)))
    assert (found.kind, found.op) == ("input", op)


def branching(number: float) -> None:
    x: Any = torch.ones(3)
    if number > 0.5:
        x.sin().sum()  # branch 1
    else:
        x.cos().sum()  # branch 2


def test_branches_are_another_path() -> None:
    found = find_divergence(lambda: branching(0.3), lambda: branching(0.7))
    assert (found.kind, found.op, found.other_op) == ("path", "aten.cos.default", "aten.sin.default")
    assert found.location == find_line(branching, "# branch 2")
    assert found.other_location == find_line(branching, "# branch 1")


def stopping(steps: int) -> None:
    x: Any = torch.ones(3)
    for _ in range(steps):
        x = x.mul(2)
        x.sum()


def test_early_stop() -> None:
    found = find_divergence(lambda: stopping(3), lambda: stopping(5))
    assert (found.kind, found.op, found.index, found.ended_trace) == ("length", "aten.mul.Tensor", 7, "first")
    assert find_divergence(lambda: stopping(5), lambda: stopping(3)).ended_trace == "second"


def sparse(change: Change = do_nothing) -> Callable[[], None]:
    def run() -> None:
        torch.manual_seed(0)
        net = nn.Embedding(9, 4, sparse=True)
        optimiser: Any = torch.optim.SparseAdam(net.parameters())
        for step in range(3):
            change(net, step)
            optimiser.zero_grad()
            net(torch.tensor([1, 2, 1])).square().sum().backward()
            optimiser.step()

    return run


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_sparse_gradients() -> None:
    def change(net: Any, step: int) -> None:
        if step == 1:
            run_untraced(lambda: flip_bit(net.weight[:3]))

    first = trace_call(sparse())
    assert first_divergence(first, trace_call(sparse())) is None
    assert not [op for op in first if "" in op.outputs and "empty" not in op.name]
    found = find_divergence(sparse(), sparse(change))
    assert found.op == "aten.embedding.default"


@pytest.mark.parametrize("optimiser", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam"])
@pytest.mark.parametrize("variant", ["foreach", "fused", "for loop"])
def test_memory_written_by_optimisers_is_known(optimiser: str, variant: str) -> None:
    if variant == "fused" and optimiser in ("RMSprop", "NAdam"):
        pytest.skip("torch has no fused variant")
    options = {} if variant == "for loop" else {variant: True}
    w: Any = run_untraced(lambda: torch.rand(3, requires_grad=True))
    instance = getattr(torch.optim, optimiser)([w], **({"foreach": False} | options), lr=0.1)

    def program() -> None:
        for _ in range(2):
            instance.zero_grad()
            w.square().sum().backward()
            instance.step()
        w.clone()

    found = trace_call(program)
    assert found[-1].inputs == ()  # known
    written = [op for op in found[:-1] if found[-1].outputs[0] in op.outputs]
    assert written
    assert written[-1].location.startswith(__file__)


def test_mixed_precision() -> None:
    x, w = run_untraced(lambda: (torch.rand(4, 4), torch.rand(4, 4, requires_grad=True)))
    other = run_untraced(lambda: w.detach().clone().mul_(1.5).requires_grad_())

    def program(weight: Any) -> Callable[[], None]:
        def run() -> None:
            with torch.autocast("cpu", torch.bfloat16):
                torch.autograd.grad((x @ weight).sum(), weight)

        return run

    assert find_op(trace_call(program(w))[:3], "mm.default").kinds == ("bfloat16[4, 4]",)
    assert first_divergence(trace_call(program(w)), trace_call(program(w))) is None
    assert find_divergence(program(w), program(other)).kind == "input"
