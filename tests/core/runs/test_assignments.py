from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_repro.core.runs.assignments import find_inputs


@pytest.fixture
def inputs(tmp_path: Path) -> Callable[..., set[str]]:
    """Finds the inputs of a function in a file."""

    def find(body: str, head: str = "def test():") -> set[str]:
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.py"
        file.write_text(f"import pytest\n{head}\n    {body}\n")
        scope: dict[str, Any] = {}
        exec(compile(file.read_text(), str(file), "exec"), scope)
        return set(find_inputs(scope["test"].__code__))

    return find


@pytest.mark.parametrize(
    "body",
    ["x = 0.1", "x = -2", "n = 3; x = 2 * n + 1", "x, y = 1, 'b'", "x = [1, 2]", "x = {'lr': 0.1}",
     "x: int = 3", "x = y = (1, 2)", "for x in range(3): pass", "for i, (x, _) in enumerate(y): pass",
     "n, y = 1, f(); x = n", "n = 'a'; x = f'{n}.pt'"],
)  # fmt: skip
def test_what_is_written_out_is_no_result(body: str, inputs: Callable[..., set[str]]) -> None:
    assert "x" in inputs(body)


@pytest.mark.parametrize(
    "body",
    ["x = float(y)", "x = 0\n    x += f()", "x = []\n    x.append(f())", "x, y = [], 1",
     "x = {'a': []}\n    x['a'].append(f())",
     "x = {'a': 1}\n    x['b'] = f()", "x = y.z", "with f() as x: pass", "n = f(); x = 2 * n",
     "n, x = f()",      "x = 0.0\n    for i in y: x = x + i", "print(x := f())", "x = y"],
)  # fmt: skip
def test_what_is_computed_is_a_result(body: str, inputs: Callable[..., set[str]]) -> None:
    assert "x" not in inputs(body)


def test_arguments_are_inputs_also_without_source(inputs: Callable[..., set[str]]) -> None:
    assert inputs("x = a", "@pytest.mark.skip\ndef test(a, *b, c=1, **d):") == {"a", "b", "c", "d"}
    assert find_inputs(compile("lambda a: a", "<gone>", "eval").co_consts[0]) == {"a"}
