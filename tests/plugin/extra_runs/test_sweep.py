"""``seeds=`` and ``--repro-seeds``: one run for each seed, and budgets over them."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_repro import check
from pytest_repro.core.plan.arguments import BadArgument
from pytest_repro.plugin.config.parsers import parse_seeds
from tests.conftest import Project
from tests.plugin.peers import needs

SOURCE = """
import pytest, numpy as np
SEEDS = pytest.mark.reproducible(seeds=6)
VALUES = [0.5, 0.52, 0.51, 0.9, 0.5, 0.51]
seen = []
@SEEDS
def test_scatters(repro):
    seen.append((repro.seed, repro.rng().random()))
    repro.record(accuracy=0.0)
    repro.record(accuracy=VALUES[repro.seed], labels=np.array([0, 1, repro.seed % 2] * 100))
    repro.budget("accuracy", std=0.01, range=0.02, max=1)
    assert VALUES[repro.seed] != 0.52, "no"
@SEEDS
def test_holds(repro):
    repro.record(accuracy=VALUES[repro.seed])
    repro.budget("accuracy", min=0.5)
@SEEDS
def test_misnamed(repro):
    repro.record(accuracy=1)
    repro.budget("acuracy", min=0.5)
@pytest.mark.reproducible(seeds=(9, 0, 7), seed=9, runs=1)
def test_fails_with_its_own(repro):
    repro.record(x=1)
    assert repro.seed != 9
@pytest.mark.xfail(strict=True)
@SEEDS
def test_expected(repro):
    repro.record(x=1)
    assert repro.seed < 3
@SEEDS
def test_skips(repro):
    repro.record(x=1)
    if repro.seed > 4: pytest.skip("no")
def test_without(repro): repro.record(x=1)
def test_each_seed_once():
    assert sorted(seed for seed, _ in seen) == [0, *range(6)]
    assert len(set(seen)) == 6
"""
SCATTERS = """\
test_it.py::test_scatters does not hold for every seed

  seeds      1 of 6 failed: seed 1; P(fail) 16.7 %, up to 58.2 % (95 % confidence)
  seed 1     AssertionError: no   test_it.py:11
  budget     accuracy: std 0.1602 > 0.01: seed 3; range 0.4 > 0.02: seed 3
  accuracy   n 6, mean 0.5733, std 0.16, min 0.5, max 0.9, range 0.4 (0.99 of a normal's), outliers: seed 3
             suggested: accuracy >= -0.02067, or <= 1.167, fails for at most 5 % of seeds (95 % confidence, if normal; without that, 59 seeds are needed)
  labels     churn 20 %, 6 seeds × 300 items, largest 33.3 % between seeds 0 and 1, all agree on 66.7 %
  replay     pytest test_it.py::test_scatters --repro-seed=1 --repro-seeds=0
"""  # noqa: E501
SECTION = """\
sweep     test_it.py::test_expected  3 of 6 failed: seeds 3, 4, 5; P(fail) 50 %, up to 84.7 % (95 % confidence)
sweep     test_it.py::test_fails_with_its_own  1 of 3 failed: seed 9; P(fail) 33.3 %, up to 86.5 % (95 % confidence)
sweep     test_it.py::test_holds
          seeds      0 of 6 failed; P(fail) 0 %, up to 39.3 % (95 % confidence)
          budget     accuracy: kept
          accuracy   n 6, mean 0.5733, std 0.16, min 0.5, max 0.9, range 0.4 (0.99 of a normal's), outliers: seed 3
          suggested
sweep     test_it.py::test_misnamed  0 of 6 failed; P(fail) 0 %, up to 39.3 % (95 % confidence); over budget: acuracy
sweep     test_it.py::test_scatters  1 of 6 failed: seed 1; P(fail) 16.7 %, up to 58.2 % (95 % confidence); over budget: accuracy
sweep     test_it.py::test_skips
          seeds      0 of 5 failed; P(fail) 0 %, up to 45.1 % (95 % confidence); skipped: seed 5
          x          n 5, mean 1, std 0, min 1, max 1, range 0
"""  # noqa: E501


def section(lines: list[str]) -> list[str]:
    """Of each sweep, in the order of the tests."""
    start = lines.index(next(line for line in lines if line.startswith("sweep ")))
    blocks: list[list[str]] = []
    for line in lines[start:]:
        if line.startswith("sweep "):
            blocks.append([])
        elif not line.startswith("          "):
            break
        blocks[-1].append("          suggested" if "  suggested: " in line else line)
    return [line for block in sorted(blocks) for line in block]


@pytest.mark.parametrize("args", [(), pytest.param(("-n2", "--dist=loadfile"), marks=needs("xdist"))])
def test_a_test_is_told_over_its_seeds(project: Project, args: tuple[str, ...]) -> None:
    result = project(SOURCE, *args, plugins=["xdist"] if args else [], subprocess=bool(args))
    own = "test_it.py::test_misnamed does not hold for every seed"
    why = "  budget     acuracy: nothing is recorded by that name as a number (recorded: accuracy)"
    result.check(passed=4, failed=3, xfailed=1, says=[SCATTERS, own, why])
    result.check(says="FAILED test_it.py::test_scatters - SeedDependent: 1 of 6 seeds failed")
    assert section(result.run.outlines) == SECTION.splitlines()
    assert result.verdicts["test_scatters"] == result.verdicts["test_holds"] == "reproduced"
    counts = "6 compared (6 reproduced), 0 observed nothing, 1 failed"
    result.check(says=f"{counts}, 3 not for every seed")


def test_the_report_holds_every_value(project: Project) -> None:
    tests = project(SOURCE, "-k", "scatters or without").report["tests"]
    found: dict[str, Any] = tests[0]["sweep"]
    assert "sweep" not in tests[1]
    assert (found["seeds"], found["failed"], found["skipped"]) == ([0, 1, 2, 3, 4, 5], [1], [])
    assert found["p_fail"] == 1 / 6
    assert found["errors"] == {"1": "AssertionError: no"}
    accuracy = found["headlines"]["accuracy"]
    assert accuracy["values"] == {"0": 0.5, "1": 0.52, "2": 0.51, "3": 0.9, "4": 0.5, "5": 0.51}
    assert accuracy["outliers"] == [3]
    assert accuracy["suggested"]["method"] == "normal"
    breaches = found["budgets"]["accuracy"]["breaches"]
    assert [(each["rule"], each["seeds"]) for each in breaches] == [("std", [3]), ("range", [3])]
    labels = found["predictions"]["labels"]
    assert (labels["churn"], labels["constant"]) == (0.2, [])
    assert len(tests[0]["runs"]) == 2


def test_the_command_line_wins(project: Project) -> None:
    project.ini("[tool.pytest.ini_options]\nrepro_seeds = '1,3-4'")
    source = """
    import pytest
    def test_a(repro): repro.record(x=repro.seed)
    @pytest.mark.reproducible(seeds=[5])
    def test_b(repro):
        repro.record(x=repro.seed)
        repro.budget('x', max=3)
    """
    why = "budget     x: finite under 1 of 1 seeds; over fewer than two there is nothing to judge"
    result = project(source).check(passed=1, failed=1, says=[why, "--repro-seeds=5-5"])
    assert [test["sweep"]["seeds"] for test in result.report["tests"]] == [[1, 3, 4], [5]]
    result = project.again("--repro-seeds=4").check(passed=2)
    assert [test["sweep"]["seeds"] for test in result.report["tests"]] == [[0, 1, 2, 3]] * 2
    result = project.again("--repro-seeds=0").check(passed=2, lacks="sweep ")
    assert not any("sweep" in test for test in result.report["tests"])


def test_nothing_is_said_of_empty_predictions(project: Project) -> None:
    source = """
    import numpy as np, pytest
    def test_a(repro): repro.record(none=np.zeros(0, int), labels=np.arange(3))
    """
    result = project(source, "--repro-seeds=3", "--repro-noise=2").check(passed=1)
    assert list(result.report["tests"][0]["sweep"]["predictions"]) == ["labels"]


def test_a_sweep_that_cannot_be_summarized_fails_the_test_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("pytest_repro.engine.sweep.sweep.summarize_sweep", fail)
    source = """
    def test_a(repro): repro.record(x=1.7e308 * (-1) ** repro.seed)
    def test_b(): pass
    """
    says = ["its extra runs could not be summarized", "RuntimeError: unforeseen"]
    project(source, "--repro-seeds=3").check(passed=1, failed=1, says=says)


def test_the_largest_numbers_scatter_without_end(project: Project) -> None:
    source = """
    def test_a(repro):
        repro.record(x=1.7e308 * (-1) ** repro.seed)
        repro.budget("x", std=1)
    """
    project(source, "--repro-seeds=6").check(failed=1, says="budget     x: std inf > 1")


def test_a_model_that_is_constant_is_warned_of(project: Project) -> None:
    source = """
    import numpy as np, pytest
    @pytest.mark.reproducible(seeds=3)
    def test_a(repro): repro.record(labels=np.arange(9) % (1 if repro.seed == 2 else 3))
    """
    told = "ConstantModelWarning: labels is the same for every item with seed 2: stable, but collapsed"
    project(source, "-W", "default").check(passed=1, says=told)
    project(source, "-W", "error").check(failed=1, says=told)


def test_a_broken_budget_is_replayed_with_all_its_seeds(project: Project) -> None:
    source = """
    import pytest
    @pytest.mark.reproducible(seeds=(4, 1, 9))
    def test_a(repro):
        repro.record(x=repro.seed)
        repro.budget("x", range=1)
    """
    project(source).check(failed=1, says="  replay     pytest test_it.py::test_a --repro-seeds=1,4,9")
    project.again("--repro-seeds=1,4,9").check(failed=1, says="x: range 8 > 1")
    project.again("--repro-seeds=0").check(passed=1, says="left out  budgets: not with --repro-seeds=0")


def test_seeds_that_are_switched_off_by_the_marker_leave_no_budget_unjudged(project: Project) -> None:
    source = """
    import pytest
    @pytest.mark.reproducible(seeds=0)
    def test_a(repro):
        repro.record(x=1)
        repro.budget("x", std=1)
    """
    project(source).check(failed=1, says="repro.budget('x') is judged over seeds, but there are none")
    project.again("--repro-seeds=2").check(passed=1)


def test_what_is_no_headline_and_what_has_no_churn_is_said(project: Project) -> None:
    source = """
    import numpy as np, pytest
    @pytest.mark.reproducible(seeds=3, runs=1)
    def test_a(repro):
        repro.record(accuracy=np.zeros(3), labels=np.arange(9 + repro.seed))
        repro.budget("accuracy", std=1)
    @pytest.mark.reproducible(seeds=3, runs=1)
    def test_b(repro): repro.record(x=1)
    """
    result = project(source).check(failed=1, passed=1)
    why = "budget     accuracy: nothing is recorded by that name as a number (it is float64[3])"
    sizes = "labels     9 to 11 items: the number depends on the seed, so there is no churn"
    result.check(says=[why, sizes])
    found = {test["nodeid"].partition("::")[2]: test for test in result.report["tests"]}
    assert found["test_a"]["sweep"]["uneven"] == {"labels": [9, 11]}
    assert ("verdict" in found["test_b"], found["test_b"]["sweep"]["kept"]) == (False, True)


def test_subtests_and_equal_errors_are_told_by_seed(project: Project) -> None:
    source = """
    import pytest
    @pytest.mark.reproducible(seeds=5)
    def test_a(repro, subtests):
        repro.record(x=1)
        with subtests.test("half", n=3):
            assert repro.seed % 2 == 0, "odd"
    @pytest.mark.reproducible(seeds=(1, 2))
    def test_own(repro, subtests):
        repro.record(x=1)
        for n in range(2):
            with subtests.test(n=n): assert repro.seed == 2 and n == 0
    """
    result = project(source, "--junitxml=junit.xml")
    result.check(says=["seeds 1, 3 subtest [half] (n=3): AssertionError: odd", "2 of 5 failed: seeds 1, 3"])
    result.check(says=["seed 1     subtest (n=0): assert", "seed 2     subtest (n=1): assert"])
    assert '<property name="repro_sweep" value="broken" />' in (result.folder / "junit.xml").read_text()


def test_a_check_of_this_package_blames_no_seed(project: Project) -> None:
    source = """
    import numpy as np, pytest_repro
    def test_draws(repro):
        repro.record(x=1)
        with pytest_repro.assert_no_draws(): np.random.rand()
    def test_type(repro): repro.record(x=object())
    def test_plain(repro):
        repro.record(x=1)
        assert repro.seed
    """
    result = project(source).check(failed=3)
    assert result.text.count("failed in each of 2 runs") == 3
    assert result.text.count("shows whether it depends on the seed") == 1
    project.again("--repro-seeds=2").check(failed=3, lacks="shows whether it depends on the seed")


def test_budgets_of_one_name_hold_together(project: Project) -> None:
    source = """
    import pytest
    SEEDS = pytest.mark.reproducible(seeds=3)
    @SEEDS
    def test_merged(repro):
        repro.record(x=repro.seed)
        repro.budget("x", std=0.5, max=9)
        repro.budget("x", range=100, max=9)
    @SEEDS
    def test_twice(repro):
        repro.record(x=1)
        repro.budget("x", std=0.5)
        repro.budget("x", std=7, range=1)
    @SEEDS
    def test_by_seed(repro):
        repro.record(x=1)
        repro.budget("x", max=repro.seed + 9)
    """
    twice = "ValueError: repro.budget('x'): std=0.5 first and std=7 now: one number holds for all seeds"
    by_seed = "seed 2     ValueError: repro.budget('x'): max=9 first and max=11 now: one number holds"
    project(source).check(failed=3, says=["x: std 1 > 0.5: seeds", twice, by_seed])


def test_a_budget_asks_for_the_value_of_every_seed(project: Project) -> None:
    source = """
    import pytest
    @pytest.mark.reproducible(seeds=5)
    def test_a(repro):
        repro.record(seen=1)
        if repro.seed not in (1, 3): repro.record(x=0.5)
        repro.budget("x", std=5)
    """
    project(source).check(failed=1, says="  budget     x: not recorded as a number with seeds 1, 3")


def test_what_a_seed_left_half_way_is_no_headline(project: Project) -> None:
    source = """
    import pytest, numpy as np
    @pytest.mark.reproducible(seeds=5)
    def test_a(repro):
        repro.budget("loss", range=1)
        for step in range(5 - (repro.seed == 2)):
            repro.record(loss=10 - step, labels=np.arange(9) % (step + 1))
            assert repro.seed != 3 or step < 1
        repro.record(accuracy=0.9 - repro.seed / 10)
        assert repro.seed != 4
    """
    found = project(source).check(failed=1).report["tests"][0]["sweep"]
    assert found["failed"] == [3, 4]
    loss, accuracy = (found["headlines"][name]["values"] for name in ("loss", "accuracy"))
    assert loss == {"0": 6.0, "1": 6.0, "2": 7.0, "4": 6.0}, "none of seed 3"
    assert accuracy.keys() == {"0", "1", "2", "4"}, "a seed that failed at the end is reported"
    assert found["budgets"]["loss"] == {"kept": True, "breaches": []}
    assert found["predictions"]["labels"]["churn"] < 0.5


def test_xfail_keeps_its_meaning_over_seeds(project: Project) -> None:
    source = """
    import pytest
    SEEDS = pytest.mark.reproducible(seeds=4)
    RAISES = pytest.mark.xfail(raises=ValueError, reason="known")
    def broken(repro, error):
        repro.record(x=1)
        if repro.seed == 2: raise error
    @SEEDS
    @RAISES
    def test_expected(repro): broken(repro, ValueError("a"))
    @SEEDS
    @RAISES
    def test_another(repro): broken(repro, KeyError("b"))
    @SEEDS
    @RAISES
    def test_over_budget(repro):
        repro.budget("x", max=0)
        broken(repro, ValueError("c"))
    @SEEDS
    def test_calls_it(repro):
        repro.budget("x", max=1)
        if repro.seed == 2: pytest.xfail("known")
        repro.record(x=1)
    """
    result = project(source, "-rxf").check(xfailed=1, failed=2, passed=1)
    result.check(says=["XFAIL test_it.py::test_expected - known", "budget     x: max 1 > 0"])
    result.check(
        says="seeds      0 of 3 failed; P(fail) 0 %, up to 63.2 % (95 % confidence); xfailed: seed 2"
    )
    found = {test["nodeid"].partition("::")[2]: test["sweep"] for test in result.report["tests"]}
    assert (found["test_calls_it"]["failed"], found["test_calls_it"]["xfailed"]) == ([], [2])
    assert "xfailed" not in found["test_expected"]
    project.again("--runxfail").check(failed=3, passed=1)


def test_an_expected_failure_of_its_own_run_hides_no_other_seed(project: Project) -> None:
    source = """
    import pytest
    SEEDS = pytest.mark.reproducible(seeds=4)
    RAISES = pytest.mark.xfail(raises=ValueError, reason="known")
    def broken(repro, own, other=KeyError("b")):
        repro.record(x=repro.seed)
        if repro.seed == 0: own()
        if repro.seed == 2: raise other
    def raises(): raise ValueError("a")
    @SEEDS
    def test_called(repro): broken(repro, lambda: pytest.xfail("known"))
    @SEEDS
    @RAISES
    def test_marked(repro): broken(repro, raises)
    @SEEDS
    def test_called_over(repro):
        repro.budget("x", max=2)
        broken(repro, lambda: pytest.xfail("known"), pytest.skip.Exception("no"))
    @SEEDS
    @RAISES
    def test_marked_over(repro):
        repro.budget("x", max=2)
        broken(repro, raises, ValueError("a"))
    @SEEDS
    @RAISES
    def test_all_known(repro): broken(repro, raises, ValueError("a"))
    @SEEDS
    @pytest.mark.xfail
    def test_any(repro):
        repro.budget("x", max=2)
        broken(repro, raises)
    @SEEDS
    def test_rest_holds(repro):
        if repro.seed == 0: pytest.xfail("known")
        repro.record(x=1)
    """
    result = project(source, "-rf").check(failed=4, xfailed=3)
    for name, why in (
        ("called", "1 of 4 seeds failed: 2"), ("marked", "2 of 4 seeds failed: 0, 2"),
        ("called_over", "over budget: x"), ("marked_over", "2 of 4 seeds failed: 0, 2; over budget: x"),
    ):  # fmt: skip
        result.check(says=f"test_it.py::test_{name} does not hold for every seed")
        assert any(f"test_{name} - SeedDependent: " in line for line in result.run.outlines), why


def test_a_tear_down_fails_its_seed(project: Project) -> None:
    source = """
    import pytest
    @pytest.fixture
    def broken(repro):
        yield
        if repro.seed == 2: raise RuntimeError("boom")
    @pytest.mark.reproducible(seeds=4)
    def test_a(repro, broken): repro.record(x=1)
    """
    told = "  seed 2     in teardown: RuntimeError: boom"
    project(source).check(failed=1, says=["1 of 4 failed: seed 2", told])


def test_what_a_replay_leaves_out_is_told(project: Project) -> None:
    source = """
    import pytest
    @pytest.mark.reproducible(seeds=4)
    def test_a(repro):
        repro.record(x=repro.seed)
        repro.budget("x", max=2)
    def test_b(repro): repro.record(x=1)
    @pytest.mark.skip
    def test_c(repro): pass
    """
    line = "left out  {}: not with --repro-replay, whose log feeds each run (1 test)"
    asked = "--repro-cost, --repro-noise"
    lines = [line.format(each) for each in (asked, "--repro-cost, seed sweep, --repro-noise, its budgets")]
    result = project(source, "--repro-replay=record", "--repro-cost", "--repro-noise")
    result.check(passed=2, skipped=1, says="\n".join(lines))
    assert not any("unmade_note" in test for test in result.report["tests"])
    off = "left out  budgets: not with --repro-seeds=0 (1 test)"
    project.again("--repro-replay=record", "--repro-seeds=0").check(passed=2, says=off)
    project.again().check(failed=1, passed=1, lacks="left out")


def test_a_budget_without_seeds_is_refused(project: Project) -> None:
    project("def test_a(repro):\n    repro.record(x=1)\n    repro.budget('x', std=1)").check(
        failed=1, says="repro.budget('x') is judged over seeds, but there are none"
    )


@pytest.mark.parametrize("given", ["-1", "True", "(1, 'a')", "1.5", "{1}", "(2**32,)", "[]", "range(0)"])
def test_seeds_of_a_marker(project: Project, given: str) -> None:
    source = f"import pytest\n@pytest.mark.reproducible(seeds={given})\ndef test_a(): pass"
    project(source).check(
        exit=4, says="a number of seeds (20: 0 to 19), or a tuple of them, each 0 to 4294967295"
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [("3", (0, 1, 2)), ("0", ()), ("2-4", (2, 3, 4)), ("5,1,5-6", (5, 1, 6)), ("7-7", (7,))],
)
def test_seeds_of_the_command_line(text: str, found: tuple[int, ...]) -> None:
    assert parse_seeds(text) == found


@pytest.mark.parametrize(
    "text", ["", "a", "-1", "3-", "4-2", "1,,2", "1.5", str(2**32 - 1) + "-" + str(2**32)]
)
def test_seeds_that_are_none(text: str) -> None:
    with pytest.raises(BadArgument, match="0-99"):
        parse_seeds(text)


def test_a_function_has_no_sweep() -> None:
    with pytest.raises(BadArgument, match="seed sweeps are for tests"):
        check(lambda: 1, seeds=3)


def test_what_one_seed_does_to_its_test_is_not_for_the_next(project: Project) -> None:
    source = """
    import pytest
    MARK = pytest.mark.reproducible(seeds=3)
    @MARK
    def test_marks_itself(request, repro):
        if repro.seed == 1: request.node.add_marker(pytest.mark.xfail(reason="known of 1"))
        repro.record(a=1.0)
        assert repro.seed != 2, "a bug"
    @MARK
    def test_skips_its_own(repro):
        if repro.seed == 0: pytest.skip("an empty split")
        repro.record(a=1.0)
        assert repro.seed != 2, "a bug"
    @MARK
    def test_skips_where_it_holds(repro):
        if repro.seed == 0: pytest.skip("an empty split")
        repro.record(a=1.0)
    @MARK
    @pytest.mark.skip
    def test_skipped(repro): raise ValueError
    @MARK
    @pytest.mark.xfail(raises=ValueError)
    def test_another_error(repro):
        repro.record(a=1.0)
        if repro.seed == 2: raise KeyError("a")
        raise ValueError
    """
    result = project(source).check(failed=3, skipped=2)
    told = "1 of 2 failed: seed 2; P(fail) 50 %, up to 97.5 % (95 % confidence); skipped: seed 0"
    result.check(says=[told, "seed 2     AssertionError: a bug   test_it.py:7"])
    result.check(says="replay     pytest test_it.py::test_another_error --repro-seed=2 --repro-seeds=0")
    swept = {test["nodeid"].partition("::")[2]: test.get("sweep") for test in result.report["tests"]}
    assert swept["test_skipped"] is None
    assert swept["test_skips_where_it_holds"]["kept"] is True
    assert swept["test_marks_itself"]["places"] == {"2": "test_it.py:7"}


def test_a_number_that_is_never_finite_is_told(project: Project) -> None:
    source = """
    import pytest
    @pytest.mark.reproducible(seeds=3)
    def test_a(repro): repro.record(loss=float("nan"), n=1)
    """
    result = project(source).check(passed=1, says="loss       not finite: seeds 0, 1, 2")
    assert result.report["tests"][0]["sweep"]["not_finite"] == {"loss": [0, 1, 2]}


@pytest.mark.parametrize("many", ["0-4294967296", "100001", "2000000000", "5,7-200000"])
def test_so_many_seeds_are_refused(project: Project, many: str) -> None:
    project("def test_a(): pass", f"--repro-seeds={many}").check(exit=4, says="at most 100,000 of them")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("repro.budget(3, std=1)", "TypeError: repro.budget: name is a int: expected text"),
        ("repro.budget('x', std=True)", "TypeError: std is a bool: expected a number"),
    ],
)
def test_a_budget_that_is_none_is_refused(project: Project, call: str, said: str) -> None:
    source = f"""
    import pytest
    @pytest.mark.reproducible(seeds=3)
    def test_a(repro): {call}
    """
    project(source).check(failed=1, says=said)


def test_one_that_leaves_the_session_with_a_seed_does_so(project: Project) -> None:
    source = """
    import pytest
    @pytest.mark.reproducible(seeds=3)
    def test_a(repro):
        if repro.seed == 2:
            pytest.exit("no licence", returncode=7)
        repro.record(x=1)
    """
    project(source).check(exit=7, says="!!! _pytest.outcomes.Exit: no licence !!!")


def test_what_its_seeds_leave_behind_may_make_the_difference(project: Project) -> None:
    source = """
    import pytest
    seen = []
    @pytest.mark.reproducible(seeds=3)
    def test_a(repro):
        seen.append(repro.seed)
        repro.record(x=max(seen))
    """
    project(source, "--repro-diagnose=never").check(
        failed=1,
        says="for a seed sweep (--repro-seeds=0 leaves it out): without them, see whether state",
    )
    project(source, "--repro-seeds=0").check(passed=1, lacks="extra runs")


def test_a_test_that_runs_once_has_no_verdict_in_junit(project: Project) -> None:
    source = """
    import pytest
    @pytest.mark.reproducible(seeds=3, runs=1)
    def test_a(repro): repro.record(x=1)
    """
    project(source, "--junitxml=j.xml").check(passed=1)
    xml = (project.pytester.path / "j.xml").read_text("utf-8")
    assert 'name="repro_sweep" value="kept"' in xml
    assert "repro_verdict" not in xml
