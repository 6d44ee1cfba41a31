"""The axis ``device``, between the CPU and a second device that runs on it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pytest_repro import check
from pytest_repro.axes import get_axis, resolve_axes
from pytest_repro.core.plan.plan import Plan
from pytest_repro.engine.runs.availability import restrict_to_available
from tests.conftest import Project, Result

torch = pytest.importorskip("torch")
second = pytest.mark.skipif(
    not hasattr(getattr(torch._C, "_acc", None), "create_empty_tensor"),
    reason="this torch lets no second device be made in Python",
)

HEAD = """
import pytest, torch
from pytest_repro import check
def drawn(repro):
    return torch.randn(4, 3, generator=repro.generator(), device="cpu").to(repro.device)
def on(*devices, **asked):
    return pytest.mark.reproducible(device=devices, **asked)
varied = on("cpu", "second")
"""
Run = Callable[..., Result]


@pytest.fixture
def run(project: Project) -> Run:
    """Runs tests with the device ``second``, in a separate process, since it cannot be unregistered."""
    project.imported = ["torch"]
    made = Path(__file__).with_name("second_device.py").read_text()
    project.write(second_device=made, head=HEAD, conftest="import second_device")

    def run(source: str, *args: str) -> Result:
        project.write(test_it=source)
        path = project.pytester.path / "test_it.py"
        path.write_text("from head import *\n" + path.read_text())
        return project.again("-W", "error", "--repro-diagnose=never", *args, subprocess=True)

    return run


def made(result: Result, name: str) -> list[tuple[Any, ...]]:
    """The runs of a test, as axis, value and outcome, and what a repeat repeats."""
    (test,) = (each for each in result.report["tests"] if each["nodeid"].endswith(f"::{name}"))
    runs = [(each["axis"], each["value"], each["outcome"], each.get("at")) for each in test["runs"]]
    return [each if each[3] else each[:3] for each in runs]


HERE = [("repeat", 0, "passed"), ("repeat", 1, "passed")]
THERE = ("device", "second", "passed")
AGAIN = ("repeat", 1, "passed", {"device": "second"})


@second
def test_each_device_runs_and_all_of_torch_uses_it(run: Run) -> None:
    result = run(
        """
        seen = []
        def devices():
            return torch.ones(1).device.type, torch.get_default_device().type
        @pytest.fixture(scope="module")
        def wide():
            return torch.zeros(2)
        @pytest.fixture
        def narrow():
            return torch.zeros(2)
        @varied
        def test_follows(repro, wide, narrow):
            seen.append((repro.device.type, narrow.device.type, *devices()))
            repro.record(small=torch.ones(3), large=torch.arange(1000.0), whole=torch.arange(300))
            assert wide.device.type == "cpu"
        def test_before():
            assert [len(set(each)) for each in seen] == [1, 1, 1]
            assert [each[0] for each in seen] == ["cpu", "second", "cpu"]
            assert devices() == ("cpu", "cpu")
        @varied
        def test_raises(repro):
            assert devices() == (repro.device.type,) * 2
            if repro.device.type == "second":
                raise ValueError("not there")
            repro.record(x=1)
        @varied
        @pytest.mark.parametrize("how", [ValueError, pytest.skip.Exception])
        def test_never_gives(how):
            torch.ones(3)
            raise how("anywhere")
        def test_after():
            assert devices() == ("cpu", "cpu")
            assert not torch.overrides._get_current_function_mode_stack()
        @on("cpu", "second", runs=3)
        def test_thrice(repro):
            repro.record(loss=drawn(repro).sum())
        """
    ).check(passed=4, failed=2, skipped=1)
    assert made(result, "test_follows") == [*HERE, THERE]
    assert made(result, "test_thrice") == [*HERE, ("repeat", 2, "passed"), THERE]
    assert made(result, "test_raises") == [*HERE, ("device", "second", "failed")]
    result.check(says="outcome    run 1 passed, run 2 passed, second failed (ValueError: not there)")


@second
def test_tolerance_depends_on_dtype_and_can_be_bitwise(run: Run) -> None:
    result = run(
        """
        def numbers(size=50, dtype=torch.float32):
            return torch.linspace(0, 1, size).to(dtype)
        @varied
        @pytest.mark.parametrize("size", [50, 5000])
        def test_close(repro, size):
            repro.record(x=numbers(size).exp())
        @on("cpu", "second", rtol=0, atol=0)
        def test_bits(repro):
            repro.record(x=numbers().exp())
        @on("cpu", "second", rtol=0, atol=0.05)
        def test_asked(repro):
            repro.record(x=numbers().tanh())
        @varied
        @pytest.mark.parametrize("size", [50, 5000])
        def test_far(repro, size):
            repro.record(x=numbers(size).tanh())
        @varied
        def test_coarse(repro):
            repro.record(x=(16 + numbers(dtype=torch.bfloat16).tanh()))
        @varied
        def test_fine(repro):
            repro.record(x=100 * numbers(dtype=torch.float64).exp())
        """
    )
    assert result.verdicts == {
        "test_close[50]": "reproduced", "test_close[5000]": "reproduced", "test_bits": "diverged",
        "test_asked": "reproduced", "test_far[50]": "diverged", "test_far[5000]": "diverged",
        "test_coarse": "reproduced", "test_fine": "diverged",
    }  # fmt: skip
    assert made(result, "test_close[50]") == made(result, "test_far[50]") == [*HERE, THERE, AGAIN]
    for size in (50, 5000):
        result.check(
            says=[
                f"test_it.py::test_far[{size}] is not reproducible (bit for bit, within torch.testing's"
                " tolerance on device, 2 runs, seed 0, varied: device)",
                "  device     run to run deterministic; differs between cpu and second: max abs 0.01 at x",
                f"  x   float32[{size}]   differs on second",
                f"    {size:,} of {size:,} elements (100 %), max abs 0.01, ",
                "    first at [0]: 0.0 in run 1, 0.01 on second",
            ]
        )
    result.check(says="test_bits is not reproducible (bit for bit, 2 runs, seed 0, varied: device)")


@second
def test_draws_on_another_device_are_distinguished_from_kernel_errors(run: Run) -> None:
    result = run(
        """
        @varied
        def test_drawn(repro):
            x = torch.randn(4, 3)
            repro.record(x=x, y=x * 2)
        @varied
        def test_local():
            x = torch.rand(4)
            y = x + 1
        @varied
        def test_given(repro):
            x = drawn(repro)
            repro.record(x=x, y=x * 2)
        @varied
        def test_only(repro):
            repro.record(y=torch.randn(3).sum())
        @pytest.fixture
        def weights():
            return torch.randn(3)
        @varied
        def test_fixture(repro, weights):
            repro.record(w=weights)
        @varied
        def test_errs(repro):
            x = drawn(repro)
            repro.record(x=x, y=x.tanh())
        @varied
        def test_errs_first(repro):
            repro.record(y=drawn(repro).tanh())
        @varied
        def test_errs_then_draws(repro):
            x = drawn(repro)
            repro.record(x=x, y=x + torch.randn(4, 3))
        """
    ).check(passed=1, failed=7)
    drew = "  inputs     other random numbers on second: {}, the first recorded value, differs already"
    told = result.text.split("is not reproducible")
    inputs = {part.rpartition("::")[2].strip(): text for part, text in pairwise(told)}
    assert drew.format("x") in inputs["test_drawn"]
    assert drew.format("locals.x") in inputs["test_local"]
    assert drew.format("y") in inputs["test_only"]
    assert drew.format("w") in inputs["test_fixture"]
    for name in ("test_errs", "test_errs_first", "test_errs_then_draws"):
        assert "  inputs  " not in inputs[name]
    assert "differs between cpu and second: max abs 0.01 at y" in inputs["test_errs"]
    for text in inputs.values():
        assert "torch.randn(3, generator=repro.generator(), device='cpu').to(repro.device)" in text
        assert "run to run deterministic" in text


@second
def test_model_is_moved_and_trained(run: Run) -> None:
    result = run(
        """
        @on("cpu", "second", seed=3)
        @pytest.mark.parametrize("errs", [False, True])
        def test_train(repro, errs):
            model = torch.nn.Sequential(
                torch.nn.Linear(3, 8, device="cpu"), torch.nn.Tanh() if errs else torch.nn.ReLU(),
                torch.nn.Linear(8, 1, device="cpu"),
            ).to(repro.device)
            optimizer, x = torch.optim.Adam(model.parameters()), drawn(repro)
            for _ in range(3):
                optimizer.zero_grad()
                loss = model(x).exp().mean()
                loss.backward()
                optimizer.step()
                repro.record(loss=loss)
            repro.record(model=model, optimizer=optimizer)
        """
    ).check(passed=1, failed=1)
    result.check(
        says=["differs between cpu and second: max abs ", "  loss[0]   float32[]   differs on second"],
        lacks="  inputs  ",
    )


@second
def test_unavailable_devices(run: Run) -> None:
    result = run(
        """
        pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
        @on("cpu", "cuda")
        def test_one_left(repro):
            repro.record(x=torch.ones(3))
        @on("cpu", "second:1")
        def test_second_of_its_kind(repro):
            repro.record(x=torch.ones(3))
        @on("cpu", "second", "cuda")
        def test_two_left(repro):
            repro.record(x=torch.ones(3))
        @on("cuda", "cpu")
        def test_reference(repro):
            assert repro.device.type == "cpu"
            repro.record(x=torch.ones(3))
        @on("cuda", "second", "cpu")
        def test_next_is_reference(repro):
            repro.record(x=torch.zeros(3).tanh())
        @on("cuda", "cuda:1")
        def test_none_left(repro, tmp_path):
            assert False, "never run"
        @on("cuda", "cpu", runs=1)
        def test_once(repro):
            assert torch.ones(1).device.type == "cpu"
        @on("cuda", "cpu")
        def test_fails(repro):
            assert False, "on what is left"
        @on("cuda", "cpu")
        def test_differs_from_run_to_run(repro, steps=iter("abc")):
            repro.record(step=next(steps))
        """,
        "-rs",
    ).check(passed=2, skipped=4, failed=3)
    skipped = ["test_one_left", "test_second_of_its_kind", "test_reference", "test_none_left"]
    words = {"test_two_left": "reproduced", "test_next_is_reference": "diverged", "test_fails": "failed"}
    words["test_differs_from_run_to_run"] = "diverged"
    assert result.verdicts == {**dict.fromkeys(skipped, "skipped"), **words}
    none = "device cuda: torch finds no cuda device on this machine"
    result.check(
        says=[
            "3 compared (1 reproduced, 2 diverged), 0 observed nothing, 4 skipped on every device, 1 failed,",
            f"not run   {none} (8 tests)",
            "not run   device second:1: this machine has 1 second device (1 test)",
            f"nothing was compared: {none}",
            f"nothing was run: {none}; device cuda:1: torch finds no cuda device on this machine",
            "run to run deterministic; differs between second and cpu: max abs 0.01 at x",
            "--repro-vary=device=second,cpu",
            "test_differs_from_run_to_run is not reproducible (bit for bit, 2 runs, seed 0, on cpu)",
            "test_differs_from_run_to_run --repro-seed=0 --repro-runs=2 --repro-vary=device=cpu\n",
        ]
    )
    absent = ("device", "cuda", "skipped")
    assert made(result, "test_two_left") == [*HERE, THERE, absent]
    assert made(result, "test_reference") == [*HERE, absent]
    last = ("repeat", 1, "passed", {"device": "cpu"})
    assert made(result, "test_next_is_reference") == [*HERE, ("device", "cpu", "passed"), last, absent]


@second
def test_device_name_unknown_to_torch(run: Run) -> None:
    result = run("@on('cpu', 'third')\ndef test_a(repro): pass").check(exit=4)
    result.check(says=["test_it.py::test_a", "device=('cpu', 'third'): names of devices", "third"])


# Without a second device

needs_none = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


@needs_none
def test_check_behaves_alike() -> None:
    calls: list[int] = []
    verdict = check(lambda: calls.append(1), device=("cuda", "cuda:1"))
    assert (verdict.outcome, calls, [run.state for run in verdict.runs]) == ("skipped", [], ["absent"] * 2)
    verdict = check(lambda: torch.ones(2), device=("cuda", "cpu"))
    assert (verdict.outcome, [run.state for run in verdict.runs]) == ("skipped", ["ran", "ran", "absent"])
    assert [run.setting for run in verdict.runs] == [{"device": "cpu"}] * 2 + [{"device": "cuda"}]
    verdict = check(lambda: torch.ones(2), device=("cuda", "cpu"), threads=(1, 2))
    assert (verdict.outcome, verdict.runs[2].setting) == ("reproduced", {"device": "cpu", "threads": 2})


def slot() -> Any:
    """The argument of ``torch.set_default_device``."""
    return getattr(getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None), "device", None)


@pytest.mark.parametrize("before", [None, "meta", "cpu"])
def test_default_device_is_restored(before: str | None) -> None:
    torch.set_default_device(before)
    try:
        given = slot()
        for value in ("meta", "cpu", "meta:0"):
            with get_axis("device").applied(value):
                assert torch.ones(1).device.type == value.partition(":")[0]
            assert slot() == given
    finally:
        torch.set_default_device(None)


def test_device_context_around_the_test_is_no_default_device() -> None:
    with torch.device("meta"), get_axis("device").applied("cpu"):
        pass
    assert slot() is None
    assert not torch.overrides._get_current_function_mode_stack()


@pytest.mark.parametrize(("there", "said"), [(1, "this machine has 1 cuda device for 2 ranks"), (2, "")])
def test_cuda_is_unavailable_with_fewer_gpus_than_ranks(
    monkeypatch: pytest.MonkeyPatch, there: int, said: str
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    monkeypatch.setattr(get_axis("device"), "why_reference_unavailable", lambda value: "")
    assert get_axis("device").why_too_few("cuda", 2) == said
    reach = restrict_to_available(Plan(ranks=2, vary=resolve_axes({"device": ("cuda", "cpu")})))
    assert [run.error for run in reach.unavailable] == [said] * bool(said)
    assert [get_axis("device").why_too_few(*asked) for asked in (("cpu", 2), ("cuda", 0))] == ["", ""]
