"""``level=``: the bits, the process, or the outcome alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytest_repro import NotReproducible, assert_reproducible, check
from tests.conftest import Project

SOURCE = """
import itertools, pytest, numpy as np
n = itertools.count(1)
def train(repro, loss=lambda: 0.0, last=lambda: 0.0, labels=lambda: 0):
    repro.record(w=np.array([float(next(n))] * 100))
    for step in range(3): repro.record(loss=step + loss())
    repro.record(loss=last(), labels=np.arange(200) + labels())
LEVEL = pytest.mark.reproducible
@LEVEL(level="bitwise")
def test_bitwise(repro): train(repro)
@LEVEL(level="process")
def test_process(repro): train(repro)
@LEVEL(level="process")
def test_process_missed(repro): train(repro, loss=lambda: next(n))
@LEVEL(level="outcome")
def test_outcome(repro): train(repro, loss=lambda: next(n))
@LEVEL(level="outcome", runs=3)
def test_outcome_missed(repro): train(repro, last=lambda: next(n))
@LEVEL(level="outcome", rtol=0.5, atol=1000)
def test_close_enough(repro): train(repro, last=lambda: next(n))
@LEVEL(level="outcome")
def test_predictions_missed(repro): train(repro, labels=lambda: next(n))
@LEVEL(level="outcome")
def test_nothing_counts(repro): repro.record(w=np.zeros(3))
@LEVEL(level="process")
def test_what_differs_does_not_count(repro): repro.record(w=np.array([next(n), 0.5]))
@LEVEL(level="outcome")
def test_another_number_of_steps(repro):
    for step in range(next(n) % 2, 4): repro.record(loss=step)
@LEVEL(level="outcome")
def test_passes_or_fails(repro):
    repro.record(loss=1)
    assert next(n) % 2
def test_unasked(repro): train(repro)
"""
VERDICTS = {
    "test_bitwise": ("diverged", "bitwise", "process"),
    "test_process": ("reproduced", "process", "process"),
    "test_process_missed": ("diverged", "process", "outcome"),
    "test_outcome": ("reproduced", "outcome", "outcome"),
    "test_outcome_missed": ("diverged", "outcome", "none"),
    "test_close_enough": ("reproduced", "outcome", "bitwise"),
    "test_predictions_missed": ("diverged", "outcome", "none"),
    "test_nothing_counts": ("unobserved", "outcome", "bitwise"),
    "test_what_differs_does_not_count": ("unobserved", "process", "none"),
    "test_another_number_of_steps": ("reproduced", "outcome", "outcome"),
    "test_passes_or_fails": ("diverged", "outcome", "none"),
    "test_unasked": ("diverged", None, None),
}
MISSED = """\
test_it.py::test_process_missed is not reproducible (level process, bit for bit, 2 runs, seed 0)

  loss[0]   int   run 2 differs from run 1
    max abs 4, max rel 2
    2 in run 1, 6 in run 2
    first differing step of loss: 0 (0 to 3), 2 later steps differ too

  level      asked process, reached outcome: the last recorded numbers and predictions are equal, earlier ones differ
  look for   """  # noqa: E501
NOTHING = """\
test_it.py::test_nothing_counts observed nothing at level outcome: it could never have failed

  record what counts there   numbers, text, predictions: repro.record(loss=loss, labels=labels)
  not counted                w float64[3]: of arrays, those of integers and bools count
"""


def test_a_test_below_its_level_says_which_it_reached(project: Project) -> None:
    result = project(SOURCE).check(passed=4, failed=8, says=NOTHING)
    found = {}
    for test in result.report["tests"]:
        level: dict[str, Any] = test.get("level", {})
        found[test["nodeid"].partition("::")[2]] = test["verdict"], level.get("asked"), level.get("reached")
    assert found == VERDICTS
    said = [line for line in result.run.outlines if line.startswith("  level ")]
    assert [" ".join(line.split()[:5]) for line in said] == [
        "level asked bitwise, reached process:",
        "level asked process, reached outcome:",
        "level asked outcome, reached none:",
        "level asked outcome, reached none:",
    ]


def test_what_does_not_count_is_named(project: Project) -> None:
    pytest.importorskip("torch")
    source = """
    import pytest, torch
    @pytest.mark.reproducible(level="outcome")
    def test_a(repro):
        for step in range(3): repro.record(loss=torch.zeros(2))
        repro.record(model=torch.nn.Linear(1, 1), x=[torch.zeros(2), torch.zeros(3), torch.zeros(4)])
    """
    arrays = "of arrays, those of integers and bools count"
    inside = "a module or an object has it inside"
    project(source).check(
        failed=1,
        says=f"""
  not counted                loss float32[2]: {arrays}
                             model.weight float32[1, 1]: {inside}
                             model.bias float32[1]: {inside}
                             x[0] float32[2]: {arrays}
                             x[1] float32[3]: {arrays}
                             and 1 more
""",
    )


def test_what_does_not_count_beside_what_does_is_told_of_a_test_that_passes(project: Project) -> None:
    source = """
    import os, numpy as np, pytest
    @pytest.mark.reproducible(level="process")
    def test_a(repro):
        repro.record(acc=0.5, probs=np.frombuffer(os.urandom(24)), loss=np.ones(1))
    @pytest.mark.reproducible(level="process")
    def test_b(repro):
        repro.record(loss=np.random.default_rng().random(1))
    """
    arrays = "of arrays, those of integers and bools count"
    told = f"level     test_it.py::test_a  not compared at process: probs float64[3] ({arrays})"
    result = project(source, "--repro-diagnose=never").check(passed=1, failed=1, says=told)
    assert result.verdicts == {"test_a": "reproduced", "test_b": "diverged"}
    assert result.report["tests"][0]["passed_over"] == [f"probs float64[3]: {arrays}"]
    assert "level_note" not in result.report["tests"][0]


def test_the_whole_text(project: Project) -> None:
    project(SOURCE, "-k", "test_process_missed").check(failed=1, says=MISSED)


def test_a_level_is_one_of_three(project: Project) -> None:
    source = "import pytest\n@pytest.mark.reproducible(level='bits')\ndef test_a(): pass"
    said = 'test_a: @pytest.mark.reproducible: level=\'bits\': one of "bitwise", "process", "outcome"'
    project(source).check(exit=4, says=said)


def test_without_pytest() -> None:
    drawn = iter(range(100))

    def train() -> dict[str, object]:
        return {"accuracy": 0.5, "weights": np.full(3, next(drawn))[:, None] / 2}

    assert check(train).outcome == "diverged"
    verdict = check(train, level="outcome")
    assert (verdict.outcome, verdict.level) == ("reproduced", ("outcome", "process"))
    with pytest.raises(NotReproducible, match="asked bitwise, reached process"):
        assert_reproducible(train, level="bitwise", diagnose="never")


def test_a_golden_file_counts_at_the_level(project: Project) -> None:
    source = """
    import numpy as np, pytest
    @pytest.mark.reproducible(level="outcome", baseline=True)
    def test_a(repro):
        repro.record(weights=np.full(3, {weight}), accuracy={accuracy})
        for step in range(3): repro.record(loss={weight} if step == 1 else 1.0)
    """
    project(source.format(weight=1.0, accuracy=0.5), "--repro-update").check(passed=1)
    project(source.format(weight=2.0, accuracy=0.5)).check(passed=1)
    told = "accuracy   float   differs from the golden file"
    result = project(source.format(weight=2.0, accuracy=0.25)).check(failed=1, says=told)
    assert [each["name"] for each in result.report["tests"][0]["mismatches"]] == ["accuracy"]


def test_close_numbers_beside_weights_that_are_not_point_to_levels(project: Project) -> None:
    pytest.importorskip("torch")
    source = """
    import dataclasses, pytest, torch
    pytestmark = pytest.mark.reproducible(threads=(1, 2))
    class Model(torch.nn.Module):
        def __init__(self, shift):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(4))
            self.gain = torch.nn.Parameter(torch.ones(4))
            self.bias = torch.nn.Parameter(torch.zeros(4) + shift)
    @pytest.fixture
    def shift(repro): return 1e-3 * repro.setting["threads"]
    def test_loss(repro, shift): repro.record(loss=1.0 + shift * 1e-6, model=Model(shift))
    def test_item(repro, shift): repro.record(loss=1.0 + shift * 1e-3, model=Model(shift))
    def test_locals(repro, shift): model = Model(shift)
    def test_loss_too(repro, shift): repro.record(loss=shift, model=Model(shift))
    def test_array(repro, shift): repro.record(loss=1.0, probs=torch.zeros(3) + shift)
    @pytest.mark.reproducible(level="process")
    def test_level(repro, shift): repro.record(loss=1.0, model=Model(shift))
    """
    result = project(source).check(failed=5, passed=1)
    why = (
        "a weight whose true gradient is 0 (a bias before BatchNorm) follows rounding errors, which Adam "
        'scales up to whole steps; level="process" compares recorded numbers and predictions, not weights'
    )
    words = " ".join(result.text.split())
    assert f"note the recorded numbers agree, only parts of a module or an object do not: {why} look" in words
    assert f"note most parts of a module or an object agree: {why}, so record the loss look" in words
    assert (
        f"note the recorded numbers are close, parts of a module or an object are not: {why}; these" in words
    )
    assert words.count(why) == 3
    agreeing = {test["nodeid"].split("::")[1]: test.get("agreeing") for test in result.report["tests"]}
    assert agreeing.pop("test_loss") == "numbers"
    assert agreeing.pop("test_item") == "close numbers"
    assert agreeing.pop("test_locals") == "parts"
    assert set(agreeing.values()) == {None}
