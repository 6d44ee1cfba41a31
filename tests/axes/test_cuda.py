"""A GPU: compared with the CPU, run twice, with and without deterministic algorithms and TF32."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from pytest_repro import check
from tests.conftest import Project, Result

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.gpu

MANY = 2**22
"""Additions into 8 elements: with atomics, their order is practically never the same twice."""


def run(project: Project, source: str, *args: str) -> Result:
    """In a separate process: CUDA and cuBLAS read their settings when they start."""
    project.write(head="import os, pytest, torch\nimport torch.nn.functional as F")
    project.write(test_it=source)
    path = project.pytester.path / "test_it.py"
    path.write_text("from head import *\n" + path.read_text())
    return project.again(*args, subprocess=True)


def test_gpu_is_close_to_cpu_and_draws_other_numbers(project: Project) -> None:
    result = run(
        project,
        """
        varied = pytest.mark.reproducible(device=("cpu", "cuda"))
        @pytest.fixture(autouse=True)
        def _without_tf32():
            torch.set_float32_matmul_precision("highest")
            torch.backends.cudnn.allow_tf32 = False
        def numbers(repro, *shape):
            return torch.randn(shape, generator=repro.generator(), device="cpu").to(repro.device)
        @varied
        @pytest.mark.parametrize("kind", ["linear", "conv"])
        def test_model(repro, kind):
            here = {"device": "cpu"}
            first = torch.nn.Conv2d(3, 8, 3, **here) if kind == "conv" else torch.nn.Linear(8, 8, **here)
            last = torch.nn.Linear(8 * 6 * 6 if kind == "conv" else 3 * 8 * 8, 1, **here)
            model = torch.nn.Sequential(first, torch.nn.ReLU(), torch.nn.Flatten(), last).to(repro.device)
            assert next(model.parameters()).device.type == repro.device.type
            optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
            for _ in range(3):
                optimizer.zero_grad()
                loss = model(numbers(repro, 4, 3, 8, 8)).square().mean()
                loss.backward()
                optimizer.step()
                repro.record(loss=loss)
            repro.record(model=model)
        @varied
        def test_default_device(repro):
            assert torch.ones(1).device.type == torch.get_default_device().type == repro.device.type
            repro.record(x=torch.arange(1000.0).sqrt())
        @varied
        def test_drawn(repro):
            x = torch.randn(1000)
            repro.record(x=x, y=x * 2)
        @varied
        def test_drawn_by_a_generator_of_the_device(repro):
            x = torch.randn(10, generator=repro.generator(repro.device), device=repro.device)
            repro.record(x=x, y=x * 2)
        def test_after():
            assert torch.ones(1).device.type == "cpu"
        """,
    ).check(passed=4, failed=2)
    drew = "  inputs     other random numbers on cuda: x, the first recorded value, differs already"
    assert result.text.count(drew) == 2
    assert (
        result.text.count("  device     run to run deterministic; differs between cpu and cuda: max abs ")
        == 2
    )


OPS = {
    "index_add": "torch.zeros(8).index_add_(0, index, values)",
    "scatter_add": "torch.zeros(8).scatter_add_(0, index, values)",
    "index_put": "torch.zeros(8).index_put_((index,), values, accumulate=True)",
    "cumsum": "values.cumsum(0)",
    "embedding": "gradient(lambda w: F.embedding(index, w).square().sum(), torch.ones(8, 4))",
    "conv": "gradient(lambda w: F.conv2d(images, w).square().sum(), torch.ones(16, 8, 3, 3))",
    "interpolate": "gradient(lambda x: F.interpolate(x, (99, 99), mode='bilinear').square().sum(), images)",
    "matmul": "values.view(2048, -1) @ values.view(-1, 2048)",
}
SOURCE = f"""
@pytest.fixture(autouse=True)
def _on_cuda():
    torch.set_default_device("cuda")
    yield
    torch.set_default_device(None)
def gradient(loss, at):
    at = at.clone().requires_grad_()
    return torch.autograd.grad(loss(at), at)[0]
OPS = {OPS!r}
@pytest.mark.parametrize("op", OPS)
@pytest.mark.reproducible(runs=5, deterministic=MODE)
def test_op(repro, op):
    values = torch.randn({MANY}, generator=repro.generator("cuda"))
    index = torch.arange({MANY}) * 7919 % 8
    images = values[: 16 * 8 * 64 * 64].view(16, 8, 64, 64)
    repro.record(values=values)
    repro.record(out=eval(OPS[op], {{**globals(), **locals()}}))
"""
# Those that have a deterministic way on CUDA in every torch from 2.4 on, and need no telling.
ALWAYS = ("index_put", "matmul")
# torch has no other way than to raise for some of these, depending on its version.
RAISES = "does not have a deterministic implementation"


def failures(result: Result) -> dict[str, str]:
    """The failure text of each test, by the op."""
    parts = result.text.split("_ test_op[")[1:]
    return {part.partition("]")[0]: part for part in parts}


def test_deterministic_algorithms_repeat_or_raise(project: Project) -> None:
    result = run(project, SOURCE.replace("MODE", "True"))
    words = {name[len("test_op[") : -1]: word for name, word in result.verdicts.items()}
    assert set(words) == set(OPS)
    told = failures(result)
    for op, word in words.items():
        assert word == "reproduced" or (word == "failed" and RAISES in told[op]), (op, result.text)
    assert [words[op] for op in ("index_add", "conv", *ALWAYS)] == ["reproduced"] * 4


def test_atomics_diverge_without_deterministic_algorithms(project: Project) -> None:
    result = run(project, SOURCE.replace("MODE", "False"))
    words = {name[len("test_op[") : -1]: word for name, word in result.verdicts.items()}
    assert {op: words[op] for op in ("index_add", "scatter_add")} == {
        "index_add": "diverged", "scatter_add": "diverged",
    }  # fmt: skip
    assert {op: words[op] for op in ALWAYS} == dict.fromkeys(ALWAYS, "reproduced")
    for test in result.report["tests"]:
        if test["verdict"] == "diverged":  # the sums differ, the numbers that were drawn never do
            assert {each["name"] for each in test["mismatches"]} == {"out"}
            assert all(0 < each["max_abs"] < 1 for each in test["mismatches"])
            assert [run["outcome"] for run in test["runs"]] == ["passed"] * 5


@pytest.mark.skipif(
    torch.cuda.is_available() and torch.cuda.get_device_capability() < (8, 0), reason="has no TF32"
)
def test_tf32_differs_in_bits_but_is_close() -> None:
    factors = [torch.randn(512, 512, generator=torch.Generator().manual_seed(n)).cuda() for n in (1, 2)]
    modes = itertools.cycle(["highest", "high"])

    def product() -> Any:
        torch.set_float32_matmul_precision(next(modes))
        return factors[0] @ factors[1]

    before = torch.get_float32_matmul_precision()
    verdict = check(product, deterministic=False)
    (found,) = verdict.mismatches
    assert verdict.outcome == "diverged"
    assert found.difference is not None
    # A product of 512 terms of N(0, 1): TF32 keeps 10 bits of each factor, so it is off by about
    # sqrt(512) * 2**-11 = 0.011 where float32 is by 1e-5.
    assert 1e-3 < (found.difference.max_abs or 0) < 0.2
    assert check(product, rtol=0, atol=0.2, deterministic=False).outcome == "reproduced"
    assert check(lambda: factors[0] @ factors[1], deterministic=False).outcome == "reproduced"
    assert torch.get_float32_matmul_precision() == before


def test_switches_and_generators_are_restored(project: Project) -> None:
    project.write(
        conftest="""
        import os, pytest, torch
        b = torch.backends
        def state():
            keys = [b.cuda.matmul, b.cudnn.conv, b.cudnn.rnn] if hasattr(b, "fp32_precision") else []
            return (
                b.cudnn.benchmark, b.cudnn.deterministic, b.cudnn.allow_tf32, b.cuda.matmul.allow_tf32,
                torch.get_float32_matmul_precision(), *(each.fp32_precision for each in keys),
                b.cuda.flash_sdp_enabled(), torch.are_deterministic_algorithms_enabled(),
                torch.is_deterministic_algorithms_warn_only_enabled(), torch.get_default_device(),
                torch.get_default_dtype(), os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
            )
        def generators():
            return torch.get_rng_state().tolist(), torch.cuda.get_rng_state().tolist()
        def pytest_sessionstart(session):
            b.cudnn.benchmark = True
            torch.set_float32_matmul_precision("high")
            session.before = state()
        @pytest.hookimpl(trylast=True)
        def pytest_sessionfinish(session):
            assert state() == session.before
            print("all as before")
        """
    )
    run(
        project,
        """
        import conftest
        from conftest import b
        how = pytest.mark.parametrize("how", [None, ValueError, pytest.skip.Exception, KeyError])
        mode = pytest.mark.parametrize("mode", [
            pytest.param(mode, marks=pytest.mark.reproducible(deterministic=mode, device=("cpu", "cuda")))
            for mode in (True, "warn", False)
        ])
        seen = []
        def test_before():
            torch.randn(3, device="cuda")
            seen.append((conftest.state(), conftest.generators()))
        @mode
        @how
        def test_marked(repro, how, mode):
            torch.randn(3)
            torch.randn(3, device="cuda")
            if repro.run == 0:
                assert (b.cudnn.benchmark, b.cudnn.deterministic) == (mode is False, mode is not False)
            b.cudnn.benchmark = b.cudnn.allow_tf32 = b.cuda.matmul.allow_tf32 = False
            b.cudnn.deterministic = True
            b.cuda.enable_flash_sdp(False)
            os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":16:8"
            torch.use_deterministic_algorithms(mode is False)
            repro.record(x=1)
            if how is not None:
                raise how("leaves early")
        def test_after():
            assert (conftest.state(), conftest.generators()) == seen[0]
        """,
        "-s",
    ).check(passed=5, failed=6, skipped=3, says="all as before", lacks="INTERNALERROR")
