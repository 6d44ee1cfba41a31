"""What a test computed and the plugin did not compare is said, also when the test passes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Project, Result

_TESTS = """
import time
from unittest.mock import Mock
import numpy as np, pytest

pytestmark = pytest.mark.reproducible

class Net:
    def __call__(self, x): ...

class Labelled:
    def __array__(self): ...

def test_results(tmp_path, monkeypatch, request):
    n, name, path = 3, "a", tmp_path / "x"
    x = np.ones(n)
    mock, function, add, _ignored = Mock(), (lambda: 0), np.add, float(x[0])
    loss = float(x.sum())
    losses, net, state = [loss, loss], Net(), {"x": x, "lr": loss}
    frame, best = Labelled(), x.max()
    huge = np.broadcast_to(x, (2**40, n))

def test_recorded(repro):
    loss = 2 * repro.seed
    repro.record(x=1)

@pytest.mark.reproducible(capture="locals")
def test_recorded_and_locals(repro):
    x, loss, accuracy = np.ones(1), float("1"), float("2")
    repro.record(loss=loss)

def test_only_numbers():
    loss = float("1")

def test_durations():
    start = time.perf_counter()
    cv = {"mean_fit_time": np.array([time.perf_counter() - start]), "score": np.ones(2)}
"""


def not_compared(result: Result) -> dict[str, Any]:
    return {test["nodeid"].split("::")[1]: test.get("not_compared") for test in result.report["tests"]}


def test_passing_tests_say_what_was_not_compared(project: Project) -> None:
    result = project(_TESTS, "-q").check(passed=4, failed=1)
    assert not_compared(result) == {
        "test_results": [
            "loss (float)", "losses (list)", "net (Net)", "state['lr'] (float)", "frame (Labelled)",
            "best (float64)", "huge (ndarray)",
        ],
        "test_recorded": None,
        "test_recorded_and_locals": ["accuracy (float)"],
        "test_only_numbers": ["loss (float)"],
        "test_durations": ["start (float)", "cv['mean_fit_time'] (ndarray)"],
    }  # fmt: skip
    result.check(
        says=[
            "not compared  3 tests left 10 local variables out; -v names them",
            "  not compared                     loss (float): record it",
        ]
    )


@pytest.mark.parametrize("options", [["-v"], ["-v", "-n1"]])
def test_their_names_are_listed_on_request(project: Project, options: list[str]) -> None:
    result = project(_TESTS, *options, plugins=["xdist"] if "-n1" in options else [])
    lines = [line for line in result.text.splitlines() if line.startswith("not compared")]
    assert sorted(lines)[:2] == [
        "not compared  test_it.py::test_durations  start (float), cv['mean_fit_time'] (ndarray)",
        "not compared  test_it.py::test_recorded_and_locals  accuracy (float)",
    ]


_STRICT = """
import numpy as np, pytest

class Labelled:
    def __array__(self): ...

def test_too_little():
    x = np.ones(3)
    fit_time = loss = float(x.sum())
    frame = Labelled()

def test_all():
    n = 3
    x = np.ones(n)

def test_recorded(repro):
    loss = float("1")
    repro.record(loss=loss)

@pytest.mark.xfail(strict=True)
def test_expected_to_fail():
    x, loss = np.ones(3), float("1")
    assert not loss

def test_nothing():
    pass
"""


def test_strict_fails_a_test_that_leaves_values_out(project: Project) -> None:
    result = project(_STRICT, "--repro-all", "--repro-capture=strict")
    result.check(passed=3, failed=1, xfailed=1)
    assert result.verdicts["test_too_little"] == "unobserved"
    text = """\
test_it.py::test_too_little compared only a part of what it computed, and capture="strict" requires all of it

  left out   loss (float)
             fit_time (float): is a duration by its name, which differs in each run
             frame (Labelled): record numpy.asarray(x), and with it the labels or units that it would
             drop
  record     what must stay the same: def test_…(repro): repro.record(loss=loss, x=x)
             then only recorded values are compared
  or         begin the name of a variable that may differ with _
"""
    counts = "1 observed nothing, 1 compared only in part, 1 xfailed"
    line = "unobserved  test_it.py::test_too_little  not compared: fit_time (float), loss (float), frame"
    result.check(says=[text, counts, line])


def test_the_marker_and_the_ini_file_ask_for_it_too(project: Project) -> None:
    body = (
        "import numpy as np, pytest\n@pytest.mark.reproducible{}\ndef test_a(): x = np.ones(1); y = float(1)"
    )
    project(body.format('(capture="strict")')).check(failed=1, says="compared only a part")
    project.ini('[tool.pytest.ini_options]\nrepro_capture = "strict"')
    project(body.format("")).check(failed=1, says="compared only a part")
    project(body.format('(capture="auto")')).check(passed=1)
