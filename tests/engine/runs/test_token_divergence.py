"""Sequences of tokens: where runs part, how close the candidates were, how they were sampled."""

from __future__ import annotations

import json
import math
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro import Completion, NotReproducible, assert_reproducible, check
from pytest_repro.core.checked_json import JsonNode
from pytest_repro.core.compare.mismatch import Difference, TokenDivergence
from pytest_repro.reports.failure.values import format_mismatches
from pytest_repro.reports.json.rows import verdict_from_row, verdict_to_row
from tests.conftest import Project

LOGITS = np.array([[0.0, 9.0, 1.0], [5.0, 5.25, -1.0], [1.0, 0.0, 3.0]])


def difference(*runs: Any) -> Difference | None:
    """The divergence of *runs*, in order."""
    given = iter(runs)
    verdict = check(lambda: next(given), runs=len(runs), diagnose="never")
    found = [each for each in verdict.mismatches if each.problem == "values"]
    return found[0].difference if found else None


def test_the_first_index_the_candidates_and_their_gap() -> None:
    asked = {"temperature": 0.7}
    found = difference(Completion([1, 0, 2], LOGITS, asked), Completion([1, 1, 0], LOGITS, asked))
    assert found == Difference(
        2, 3, 2, first_index=(1,), first_values=("0", "1"),
        token_divergence=TokenDivergence((0, 1), 0.25, 0.25, {"temperature": 0.7}),
    )  # fmt: skip


def test_a_sampled_token_is_further_from_the_other_than_the_second_is_from_the_first() -> None:
    found = difference(Completion([1, 1], LOGITS[:2]), Completion([1, 2], LOGITS[:2]))
    assert found is not None
    assert found.token_divergence == TokenDivergence((1, 2), 6.25, 0.25)


@pytest.mark.parametrize(
    ("one", "two", "candidates"),
    [([1, 0], [1, 0, 2], (None, 2)), ([1, 0, 2], [1, 0], (2, None)), ([], [7], (None, 7))],
)
def test_a_sequence_that_ends_earlier_parts_there(one: Any, two: Any, candidates: Any) -> None:
    found = difference(Completion(one), Completion(two))
    assert found is not None
    assert found.token_divergence == TokenDivergence(candidates)
    assert found.first_values is not None
    assert "the end" in found.first_values
    assert found.first_index == (min(len(one), len(two)),)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("temperature='hot'", "TypeError: temperature is a str: expected a number"),
        ("temperature=-2", "ValueError: temperature=-2: expected a number, 0 or more"),
        ("temperature=float('nan')", "ValueError: temperature=nan: expected a number, 0 or more"),
        ("top_p=1.5", "ValueError: top_p=1.5: expected a number from 0 to 1"),
    ],
)
def test_sampling_settings_that_cannot_be_are_refused(project: Project, given: str, says: str) -> None:
    project(f"def test_a(repro): repro.record_tokens([1], {given})").check(failed=1, says=says)


TOKENS = st.lists(st.integers(0, 2), max_size=5)


@given(TOKENS, TOKENS)
def test_equal_tokens_are_equal_whatever_holds_them(one: list[int], two: list[int]) -> None:
    found = difference(Completion(np.array(one, "i4")), Completion(tuple(two)))
    assert (found is None) is (one == two)
    if found is not None:
        (at,) = found.first_index or ()
        assert one[:at] == two[:at]
        assert one[at : at + 1] != two[at : at + 1]
        assert found.differing == sum(a != b for a, b in zip(one, two)) + abs(len(one) - len(two))


@pytest.mark.parametrize("token", [-100, 3, 70_000])
def test_a_token_without_a_logit_has_no_gap(token: int) -> None:
    found = difference(Completion([1, 0], LOGITS[:2]), Completion([1, token], LOGITS[:2]))
    assert found is not None
    assert found.token_divergence == TokenDivergence((0, token), None, 0.25)


def test_what_torch_holds_and_steps_of_a_batch_of_one() -> None:
    torch = pytest.importorskip("torch")
    rows = [torch.tensor(row, dtype=torch.bfloat16, requires_grad=True)[None] for row in LOGITS]
    tokens = torch.tensor([1, 0, 2])
    found = difference(Completion(tokens, rows), Completion(torch.tensor([1, 2, 2]), rows))
    assert found is not None
    assert found.token_divergence == TokenDivergence((0, 2), 6.0, 0.25)
    assert difference(Completion(tokens, rows), Completion([1, 0, 2])) is None  # logits are not compared


def test_logits_are_kept_as_they_were_whatever_becomes_of_them() -> None:
    logits = LOGITS.copy()

    def generate() -> Completion:
        found = Completion([1, 0] if logits[1, 0] == 5 else [1, 1], logits[:2].astype("f4"))
        logits[:] = -1
        return found

    found = check(generate, diagnose="never").mismatches[0].difference
    assert found is not None
    assert found.token_divergence == TokenDivergence((0, 1), 0.25, 0.25)


@pytest.mark.parametrize(
    ("tokens", "logits", "error", "says"),
    [
        (7, None, TypeError, "is a int: expected token ids"),
        ("text", None, TypeError, "is a str: expected token ids"),
        ([[1, 2]], None, TypeError, "holds a list in a list: expected integers"),
        (np.ones((1, 2), "i8"), None, TypeError, "of shape (1, 2): expected integers of shape (steps,)"),
        ([0.5], None, TypeError, "holds a float"),
        (
            [1, 2],
            LOGITS,
            ValueError,
            "shape (3, 3), dtype float64: expected real numbers of shape (2,",
        ),
        ([1], [["a", "b"]], ValueError, "dtype <U1: expected real numbers"),
    ],
)
def test_what_is_no_sequence_is_refused(tokens: Any, logits: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        check(lambda: Completion(tokens, logits))
    assert says in str(caught.value)


def test_a_setting_that_differs_is_a_difference_of_its_own() -> None:
    number = count(1)
    verdict = check(lambda: Completion([1], sampling={"temperature": next(number), "top_p": None}))
    assert [each.path for each in verdict.mismatches] == [".temperature"]


def test_the_failure_says_all_of_it() -> None:
    given = iter(([1, 0, 2], [1, 1, 2]))
    with pytest.raises(NotReproducible) as caught:
        assert_reproducible(
            lambda: Completion(next(given), LOGITS, {"temperature": 0.7, "top_p": 0.9}), diagnose="never"
        )
    assert (
        "   tokens   run 2 differs from run 1\n"
        "    1 of 3 elements (33.3 %)\n"
        "    first at [1]: 0 in run 1, 1 in run 2\n"
        "    in run 1 their logits are 0.25 apart, the largest 0.25 above the second\n"
        "    sampled with temperature 0.7, top_p 0.9\n"
    ) in str(caught.value)


def test_logits_that_are_nan_are_said_to_be() -> None:
    given = iter(([1, 0, 2], [1, 1, 2]))
    with pytest.raises(NotReproducible, match="in run 1 their logits are NaN, some logits are NaN\n"):
        assert_reproducible(lambda: Completion(next(given), np.full((3, 4), math.nan)), diagnose="never")


def test_record_tokens_in_a_series_in_text_and_json(project: Project) -> None:
    result = project(
        """
        import numpy as np
        calls = []

        def test_a(repro):
            logits = np.zeros((100, 8), "f4")
            logits[99, 3] = 0.5
            for step in range(2):
                last = len(calls) if step else 3
                repro.record_tokens([1] * 99 + [last], logits=logits, temperature=1.0, top_p=0.5, top_k=4)
            calls.append(1)

        def test_same(repro):
            repro.record_tokens(["a", "b"], name="words")
        """,
        "-v",
    ).check(
        passed=1, failed=1,
        says=[
            "tokens[1]   tokens   run 2 differs from run 1", "first at [99]: 0 in run 1, 1 in run 2",
            "sampled with temperature 1.0, top_p 0.5, top_k 4", "first differing step of tokens: 1",
        ],
    )  # fmt: skip
    (row,) = result.report["tests"][0]["mismatches"]
    assert (row["kind"], row["first_index"], row["candidates"]) == ("tokens", [99], [0, 1])
    assert (row["gap"], row["top_gap"]) == (0.0, 0.5)
    assert row["sampling"] == {"temperature": 1.0, "top_p": 0.5, "top_k": 4}


def test_logits_that_do_not_fit_fail_each_run_alike(project: Project) -> None:
    project("""
        def test_a(repro):
            repro.record_tokens([1, 2], [[0.0, 1.0]] * 3)
    """).check(
        failed=1, says=["logits has shape (3, 2)", "failed in each of 2 runs"], lacks="not reproducible"
    )  # fmt: skip


def test_tokens_of_another_interpreter(project: Project) -> None:
    project("""
        import pytest

        @pytest.mark.reproducible(process=True)
        def test_a(repro):
            last = int(repro.setting["process"])
            repro.record_tokens([2] * 99 + [last], [[1.0, 2.0, 4.0]] * 100, temperature=0.5)
    """).check(failed=1, says=["first at [99]: 0 in run 1, 1 ", "logits are 1 apart", "temperature 0.5"])


def test_a_report_that_is_read_back_says_the_same() -> None:
    given = iter([Completion([1, 0], LOGITS[:2], {"top_p": 0.5}), Completion([1])])
    verdict = check(lambda: next(given), diagnose="never")
    report = json.loads(json.dumps(verdict_to_row("a::b", verdict)))
    again = verdict_from_row(JsonNode(report, "tests[0]"), {}, 0)
    told = [list(format_mismatches(each.mismatches, each)) for each in (verdict, again)]
    assert told[0] == told[1]
    assert "    sampled with top_p 0.5" in told[0]
