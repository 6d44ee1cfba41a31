"""Location of an op: the innermost line outside libraries."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from pytest_repro import trace
from pytest_repro.core.trace.columns import StringTable
from pytest_repro.traces.op_location import Locator
from tests.traces.tracing import find_line, trace_call


def inner(x: Any) -> Any:
    return x.mul(2)  # innermost


def outer(x: Any) -> Any:
    y = inner(x).add(1)  # first
    return y.add(2)  # second


def test_innermost_user_line() -> None:
    found = trace_call(lambda: outer(torch.ones(2)))
    expected = [find_line(inner, "innermost"), find_line(outer, "first"), find_line(outer, "second")]
    assert [op.location for op in found][1:] == expected


def model(x: Any) -> Any:
    layers = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    return layers(x)  # calls modules of torch


def test_frames_of_torch_and_python_are_skipped() -> None:
    def program() -> None:
        model(torch.ones(1, 2))
        torch.optim.SGD([torch.ones(1, requires_grad=True)], 0.1).step()
        list(map(inner, [torch.ones(1)]))

    found = trace_call(program)
    locations = [op.location for op in found if op.name in ("aten.addmm.default", "aten.relu.default")]
    assert locations == [find_line(model, "# calls modules of torch")] * 2
    assert found[-1].location == find_line(inner, "innermost")


def compile_call(text: str, name: str, module: str = "") -> Callable[[Any], Any]:
    namespace: dict[str, Any] = {"__name__": module}
    exec(compile(text, name, "exec"), namespace)
    call = namespace["call"]
    assert isinstance(call.__code__, CodeType)
    return call  # type: ignore[no-any-return]


CALL = "def call(x):\n    return x.add(1)\n"


@pytest.mark.parametrize(
    ("name", "module", "is_user"),
    [
        ("/home/me/model.py", "model", True),
        ("<stdin>", "__main__", True),
        ("<ipython-input-3-abc>", "__main__", True),
        ("<doctest README.md[0]>", "__main__", True),
        ("<string>", "__main__", True),
        ("<frozen importlib._bootstrap>", "importlib._bootstrap", False),
        ("<__array_function__ internals>", "numpy", False),
        ("<attrs generated init a.B>", "a", False),
        ("/home/me/.venv/lib/python3.12/site-packages/lightning/trainer.py", "lightning.trainer", False),
        ("/usr/lib/python3/dist-packages/lightning/trainer.py", "lightning.trainer", False),
        ("/home/me/my-site-packages/model.py", "model", True),
        ("/home/me/pytorch/torch/nn/x.py", "torch.nn.x", False),
        (str(Path(torch.__file__).parent.parent / "torchish.py"), "torchish", False),
        (str(Path(sys.modules["json"].__file__ or "").parent / "decoder.py"), "json.decoder", False),
        ("/home/me/pytest_repro/traces/x.py", "pytest_repro.traces.x", False),
    ],
)
def test_user_code(name: str, module: str, is_user: bool) -> None:
    call = compile_call(CALL, name, module)
    op = trace_call(lambda: call(torch.ones(2)))[1]  # fallback
    assert op.location == (f"{name}:2" if is_user else find_line(test_user_code, "# fallback"))


def test_relative_file_names_become_absolute() -> None:
    call = compile_call(CALL, "model.py")
    assert trace_call(lambda: call(torch.ones(2)))[1].location == f"{Path('model.py').absolute()}:2"


@pytest.mark.parametrize("module", ["_pytest.runner", "pytest_repro.companions.remote_main"])
def test_callers_of_pytest_and_of_a_companion_are_no_user_code(module: str) -> None:
    """The process of an experiment begins with execnet's code, named ``<string>``, in ``__main__``."""
    x, op_call = torch.ones(2), compile_call(CALL, torch.__file__, "torch.x")
    start = compile_call("def call(run):\n    return run()\n", "/site-packages/start.py", module)
    ops = trace_call(lambda: [start(lambda: op_call(x)), start(partial(op_call, x))])
    assert [op.location.rpartition(":")[0] for op in ops] == [__file__, ""]


def test_no_user_code() -> None:
    assert Locator(texts := StringTable()).locate(None) == 0
    assert texts.strings == [""]


def test_scripts_that_start_the_runner_are_no_user_code() -> None:
    call_next = "def call(rest):\n    return rest[0](rest[1:])\n"
    locator = Locator(texts := StringTable())
    script = compile_call(call_next, "<string>", "__main__")
    runner = compile_call(call_next, "/x/site-packages/_pytest/runner.py", "_pytest.runner")
    library = compile_call(call_next, "/x/site-packages/lib.py", "lib")
    script([runner, library, lambda _: locator.locate(sys._getframe(1))])
    assert texts.strings == [""]


def test_several_ops_in_a_line_and_several_lines_of_an_op() -> None:
    def program(x: Any) -> None:
        x.add(1).add(2)  # twice
        x.mul(
            3,
        ).mul(4)  # lower

    found = trace_call(lambda: program(torch.ones(2)))[1:]
    assert [op.location for op in found[:2]] == [find_line(program, "# twice")] * 2
    path, _, lower = find_line(program, "# lower").rpartition(":")
    assert found[2].location == f"{path}:{int(lower) - 2}"
    assert found[3].location in (found[2].location, f"{path}:{lower}")  # depends on the Python version


def test_reused_ids_of_code_objects() -> None:
    """Functions made in a loop reuse the addresses of earlier ones."""
    with trace() as found:
        x = torch.ones(2)
        for number in range(50):
            compile_call("\n" * number + CALL, f"/made/{number}.py")(x)
    assert [op.location for op in found][1:] == [f"/made/{n}.py:{n + 2}" for n in range(50)]
