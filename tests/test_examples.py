"""The examples that are not reproducible say from which step on.

That all of them end as they should is seen by running them: what is expected to differ is so strictly.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
TOLD = [str(EXAMPLES / name) for name in ("test_digits.py", "test_not_reproducible.py", "test_ranks.py")]


def test_examples_tell_where_they_part(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("sklearn") is None or find_spec("torch") is None:
        pytest.skip("the examples train a torch model on scikit-learn's digits")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    result = pytester.runpytest_subprocess(
        "-p", "repro", "-p", "no:cacheprovider", "--repro-diagnose=never", *TOLD, "-rx", "--xfail-tb"
    )
    result.assert_outcomes(passed=3, xfailed=4)
    told = [line.strip() for line in result.outlines if "first differing step of loss" in line]
    assert len(told) == 3
    result.stdout.fnmatch_lines(["*test_a_cached_model_carries_over is not reproducible*", "*loss?0? *"])
    ranks = ["*first differing step of rank0.loss: 1 *", "*first differing step of rank1.loss: 0 *"]
    result.stdout.fnmatch_lines(ranks)
    docstrings = [Path(path).read_text().partition('"""')[2] for path in TOLD]
    shown = [f"{Path(path).stem}: {text.splitlines()[0]}" for path, text in zip(TOLD, docstrings)]
    title = result.outlines.index(" what the examples show ".center(80, "="))
    assert result.outlines[title + 1 : -1] == [line.removesuffix('"""') for line in shown]
