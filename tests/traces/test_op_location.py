"""The user's line: the innermost one that is no library's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from pytest_repro import trace
from pytest_repro.core.trace.columns import StringTable
from pytest_repro.traces.op_location import Locator, is_user_file
from tests.traces.tracing import line, traced


def inner(x: Any) -> Any:
    return x.mul(2)  # innermost


def outer(x: Any) -> Any:
    y = inner(x).add(1)  # first
    return y.add(2)  # second


def test_the_innermost_line_of_the_users() -> None:
    found = traced(lambda: outer(torch.ones(2)))
    expected = [line(inner, "innermost"), line(outer, "first"), line(outer, "second")]
    assert [op.location for op in found][1:] == expected


def model(x: Any) -> Any:
    layers = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    return layers(x)  # through torch's own modules


def test_frames_of_torch_and_of_the_standard_library_are_passed_by() -> None:
    def program() -> None:
        model(torch.ones(1, 2))
        torch.optim.SGD([torch.ones(1, requires_grad=True)], 0.1).step()
        list(map(inner, [torch.ones(1)]))

    found = traced(program)
    ran = [op.location for op in found if op.name in ("aten.addmm.default", "aten.relu.default")]
    assert ran == [line(model, "through torch's own modules")] * 2
    assert found[-1].location == line(inner, "innermost")


def compiled(text: str, name: str) -> Callable[[Any], Any]:
    space: dict[str, Any] = {}
    exec(compile(text, name, "exec"), space)
    call = space["call"]
    assert isinstance(call.__code__, CodeType)
    return call  # type: ignore[no-any-return]


CALL = "def call(x):\n    return x.add(1)\n"


@pytest.mark.parametrize(
    ("name", "users"),
    [
        ("/home/me/model.py", True),
        ("<stdin>", True),
        ("<ipython-input-3-abc>", True),
        ("<doctest README.md[0]>", True),
        ("<string>", True),
        ("<frozen importlib._bootstrap>", False),
        ("<__array_function__ internals>", False),
        ("<attrs generated init a.B>", False),
        ("/home/me/.venv/lib/python3.12/site-packages/lightning/trainer.py", False),
        ("/usr/lib/python3/dist-packages/lightning/trainer.py", False),
        ("/home/me/my-site-packages/model.py", True),
        (str(Path(torch.__file__).parent / "nn" / "x.py"), False),
        (str(Path(torch.__file__).parent.parent / "torchish.py"), False),
        (str(Path(sys.modules["json"].__file__ or "").parent / "decoder.py"), False),
        (str(Path(sys.modules["pytest_repro"].__file__ or "").parent / "traces" / "x.py"), False),
    ],
)
def test_whose_code_it_is(name: str, users: bool) -> None:
    assert is_user_file(name) is users
    call = compiled(CALL, name)
    op = traced(lambda: call(torch.ones(2)))[1]  # the user's own
    assert op.location == (f"{name}:2" if users else line(test_whose_code_it_is, "# the user's own"))


def test_a_relative_name_is_made_absolute() -> None:
    call = compiled(CALL, "model.py")
    assert traced(lambda: call(torch.ones(2)))[1].location == f"{Path('model.py').absolute()}:2"


def test_where_no_code_is_the_users() -> None:
    assert Locator(texts := StringTable()).locate(None) == 0
    assert texts.strings == [""]


def test_several_ops_of_one_line_and_one_op_of_several_lines() -> None:
    def program(x: Any) -> None:
        x.add(1).add(2)  # twice
        x.mul(
            3,
        ).mul(4)  # lower

    found = traced(lambda: program(torch.ones(2)))[1:]
    assert [op.location for op in found[:2]] == [line(program, "# twice")] * 2
    path, _, lower = line(program, "# lower").rpartition(":")
    assert found[2].location == f"{path}:{int(lower) - 2}"
    assert found[3].location in (found[2].location, f"{path}:{lower}")  # as Python counts


def test_code_that_died_is_not_mistaken_for_new_code() -> None:
    """Functions made in a loop take the addresses of those before."""
    with trace() as found:
        x = torch.ones(2)
        for number in range(50):
            compiled("\n" * number + CALL, f"/made/{number}.py")(x)
    assert [op.location for op in found][1:] == [f"/made/{n}.py:{n + 2}" for n in range(50)]
