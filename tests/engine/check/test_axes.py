"""``check`` with axes: which runs are made, what they are called, and what the failure says."""

from __future__ import annotations

import glob
import os
import sys
import unittest
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pytest_repro import NotReproducible, Verdict, assert_reproducible, check
from pytest_repro.axes import get_axis

MODULE = """
import os
import numpy as np

NAMES = [f"sample {n}" for n in range(300)]

def steady(size=3):
    return np.arange(size)

def hashed():
    return ",".join(set(NAMES))

def large():
    ranks = {name: rank for rank, name in enumerate(set(NAMES))}
    return {"ranks": np.repeat([ranks[name] for name in NAMES], 1000)}

def seed_of_here():
    return os.environ.get("PYTHONHASHSEED", "none")

def breaks_elsewhere(here):
    if os.getpid() != here:
        raise ValueError("not here")
    return 1

def dies_elsewhere(here):
    if os.getpid() != here:
        os._exit(3)
    return 1

def uncertain(here):
    return int.from_bytes(os.urandom(4), "big") if os.getpid() != here else 1

def draws():
    return np.random.rand(3)

class Model:
    @staticmethod
    def predict():
        return hashed()

    def bound(self):
        return 1

    def __call__(self):
        return 1
"""


@pytest.fixture
def helper(write_module: Callable[[str, str], Any]) -> Any:
    """A module that another interpreter can import."""
    return write_module("helper_of_axes", MODULE)


def made(verdict: Verdict) -> list[tuple[Any, ...]]:
    """The runs, as axis, value and what a repeat repeats."""
    return [(run.axis, run.value, *([run.repeat_of] if run.repeat_of else [])) for run in verdict.runs]


def found(verdict: Verdict) -> list[tuple[Any, ...]]:
    return [(m.axis, m.value, m.repeat_of, m.problem) for m in verdict.mismatches]


def failure(fn: Callable[..., Any], *args: Any, **asked: Any) -> list[str]:
    """The lines of the failure text."""
    with pytest.raises(NotReproducible) as caught:
        assert_reproducible(fn, *args, diagnose="never", **asked)
    return str(caught.value).splitlines()


def test_each_value_is_run_once_and_the_reference_twice() -> None:
    verdict = check(lambda: 1, order=2, memory=(0, 1, 5), alignment=True)
    reference = {"order": 0, "memory": 0, "alignment": 0}
    assert verdict.outcome == "reproduced"
    assert [(run.axis, run.value, run.setting) for run in verdict.runs] == [
        ("repeat", 0, reference),
        ("repeat", 1, reference),
        ("memory", 1, {**reference, "memory": 1}),
        ("memory", 5, {**reference, "memory": 5}),
        ("order", 1, {**reference, "order": 1}),
        ("order", 2, {**reference, "order": 2}),
        ("alignment", 1, {**reference, "alignment": 1}),
    ]


@pytest.mark.parametrize("nothing", [False, None])
def test_an_axis_may_be_asked_not_to_vary(nothing: Any) -> None:
    verdict = check(lambda: 1, order=nothing)
    assert (verdict.plan.vary, made(verdict)) == ((), [("repeat", 0), ("repeat", 1)])


def test_one_run_varies_nothing() -> None:
    verdict = check(lambda: 1, runs=1, memory=True)
    assert (verdict.outcome, made(verdict)) == (None, [("repeat", 0)])


# Values of this process


def sums() -> Any:
    import torch

    parts = torch.randn(16, 200_000)
    return torch.stack([part.sum() for part in parts])


def test_threads_that_round_otherwise_are_close_unless_bits_are_asked() -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    verdict = check(sums, threads=(1, 2), rtol=0, atol=0)
    assert verdict.outcome == "diverged"
    assert made(verdict) == [
        ("repeat", 0), ("repeat", 1), ("threads", 2), ("repeat", 1, ("threads", 2)),
    ]  # fmt: skip
    assert found(verdict) == [("threads", 2, None, "values")]
    assert check(lambda: sums() / 1000, threads=(1, 2)).outcome == "reproduced"
    assert torch.get_num_threads() == before


def test_the_failure_between_two_numbers_of_threads() -> None:
    torch = pytest.importorskip("torch")

    def halves() -> float:
        return 1.0 / int(torch.get_num_threads())

    name = "tests.engine.check.test_axes.test_the_failure_between_two_numbers_of_threads.<locals>.halves"
    assert failure(halves, threads=(1, 2)) == [
        f"{name} is not reproducible (bit for bit, within torch.testing's tolerance on threads, 2 runs,"
        " seed 0, varied: threads)",
        "",
        "  threads    run to run deterministic; differs between 1 and 2 threads: max abs 0.5 at result",
        "",
        "  result   float   differs with 2 threads",
        "    max abs 0.5, max rel 0.5, max ulp over 2**51",
        "    1.0 in run 1, 0.5 with 2 threads",
        "",
        "  look for   sums, means, dot products and weight gradients, which threads add up in another order",
    ]


def test_what_does_not_repeat_with_two_threads_only_is_told_so() -> None:
    torch = pytest.importorskip("torch")
    numbers = count(1)

    def races() -> float:  # with two threads: near what one gives, and never twice the same
        return 8.0 + next(numbers) / 2**30 if torch.get_num_threads() == 2 else 8.0

    lines = failure(races, threads=(1, 2), runs=3)
    assert lines[2:] == [
        "  threads    run to run deterministic with 1 thread; not with 2 threads: max abs 9.31e-10 at result",
        "",
        "  result   float   differs with 2 threads again",
        "    max abs 9.31e-10, max rel 1.16e-10, max ulp 524,288",
        "    8.000000000931323 with 2 threads, 8.000000001862645 with 2 threads again",
        "",
        "  look for   racing threads, and ops without a deterministic implementation",
        "             sums, means, dot products and weight gradients, which threads add up in another order",
    ]


def test_what_differs_and_does_not_repeat_there_either() -> None:
    torch = pytest.importorskip("torch")
    numbers = count(1)
    verdict = check(lambda: next(numbers) if torch.get_num_threads() == 2 else 0, threads=(1, 2), runs=3)
    assert made(verdict) == [
        ("repeat", 0), ("repeat", 1), ("repeat", 2), ("threads", 2), ("repeat", 1, ("threads", 2)),
    ]  # fmt: skip
    assert found(verdict) == [("threads", 2, None, "values"), ("repeat", 1, ("threads", 2), "values")]


def test_what_does_not_repeat_at_all_is_told_before_the_axis() -> None:
    numbers = count()
    lines = failure(lambda: float(next(numbers)), memory=True)
    assert lines[2] == (
        "  memory     differs between memory filled with 0 and with 1, but already from run to run:"
        " max abs 3 at result"
    )


def test_dtypes_are_compared_as_numbers() -> None:
    torch = pytest.importorskip("torch")

    def product() -> Any:
        return torch.linspace(0, 1, 200) * 3

    assert check(product, dtype=("float32", "float64")).outcome == "reproduced"
    verdict = check(product, dtype=("float32", "float64"), rtol=0, atol=0)
    (mismatch,) = verdict.mismatches
    assert (mismatch.axis, mismatch.kind, mismatch.other_kind) == ("dtype", "float32[200]", "float64[200]")
    assert mismatch.difference is not None
    assert (mismatch.difference.max_ulp, mismatch.difference.total) == (None, 200)
    assert 0 < (mismatch.difference.max_abs or 0) < 1e-6


def test_the_failure_between_two_dtypes() -> None:
    torch = pytest.importorskip("torch")

    def epsilon() -> Any:
        return 1 + torch.full((2,), float(torch.finfo(torch.get_default_dtype()).bits))

    assert failure(epsilon, dtype=("float64", "float32"))[2:] == [
        "  dtype      run to run deterministic; differs between float64 and float32: max abs 32 at result",
        "",
        "  result   float64[2]   differs in float32",
        "    2 of 2 elements (100 %), max abs 32, max rel 0.492",
        "    first at [0]: 65.0 in run 1, 33.0 in float32",
        "",
        "  look for   inputs drawn in the default dtype: float64 draws other numbers than float32."
        " Draw them in",
        "             one dtype and convert:"
        " torch.randn(3, dtype=torch.float32).to(torch.get_default_dtype())",
    ]


def test_the_order_of_a_listing(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / str(number)).touch()
    pattern, before = f"{tmp_path}/*", os.listdir
    verdict = check(glob.glob, pattern, order=True)
    assert {(m.axis, m.value) for m in verdict.mismatches} == {("order", 1)}
    assert check(lambda: sorted(glob.glob(pattern)), order=3).outcome == "reproduced"
    lines = failure(lambda: "".join(os.listdir(tmp_path)), order=2)
    assert [line for line in lines if line.startswith("  order")] == [
        "  order      run to run deterministic; differs between directory listings as given and shuffled:"
        " result"
    ] * 2
    assert lines[-1] == "  look for   os.listdir, glob or Path.iterdir without sorted()"
    assert os.listdir is before


def test_memory_that_was_never_written() -> None:
    assert failure(lambda: np.empty(4), memory=(2, 7))[2:] == [
        "  memory     run to run deterministic; differs between memory filled with 2 and with 7:"
        " max abs 5 at result",
        "",
        "  result   float64[4]   differs with 7 in fresh memory",
        "    4 of 4 elements (100 %), max abs 5, max rel 2.5, max ulp over 2**52",
        "    first at [0]: 2.0 in run 1, 7.0 with 7 in fresh memory",
        "",
        "  look for   torch.empty or np.empty that is read before it is written",
    ]


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_arguments_are_moved(library: str) -> None:
    module = pytest.importorskip(library)

    def address(value: Any) -> int:
        return int(value.data_ptr() if library == "torch" else value.ctypes.data)

    seen = []

    def offset(value: Any, other: str) -> Any:
        seen.append(address(value) % 32)
        return value + 1

    verdict = check(offset, module.ones(5, dtype=module.float32), "kept", alignment=(0, 1, 3))
    assert (verdict.outcome, seen) == ("reproduced", [0, 4, 12, 0])
    assert made(verdict)[2:] == [("alignment", 1), ("alignment", 3)]


def test_the_failure_between_two_offsets() -> None:
    lines = failure(lambda array: 1.0 + array.ctypes.data % 32, np.ones(3), alignment=(0, 2))
    assert lines[2:] == [
        "  alignment  run to run deterministic; differs between offsets of 0 and 2 elements:"
        " max abs 16 at result",
        "",
        "  result   float   differs at an offset of 2 elements",
        "    max abs 16, max rel 16, max ulp over 2**54",
        "    1.0 in run 1, 17.0 at an offset of 2 elements",
        "",
        "  look for   kernels that treat aligned memory differently: matrix-vector products, sums",
    ]


def test_a_function_that_breaks_at_one_value_only() -> None:
    def breaks() -> float:
        if np.empty(1)[0] == 1:
            raise ValueError("one")
        return 1.0

    verdict = check(breaks, memory=True)
    assert found(verdict) == [("memory", 1, None, "outcome")]
    outcome = "  outcome    run 1 passed, run 2 passed, 1 in fresh memory failed (ValueError: one)"
    assert outcome in failure(breaks, memory=True)


# Values of other interpreters


def test_another_process_is_another_hash_seed(helper: ModuleType) -> None:
    verdict = check(helper.hashed, process=2, diagnose="never")
    assert made(verdict) == [
        ("repeat", 0), ("repeat", 1), ("process", 1), ("repeat", 1, ("process", 1)),
        ("process", 2), ("repeat", 1, ("process", 2)),
    ]  # fmt: skip
    assert found(verdict) == [("process", 1, None, "values"), ("process", 2, None, "values")]


def test_the_failure_between_two_processes(helper: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    lines = failure(helper.seed_of_here, process=True)
    assert lines == [
        "helper_of_axes.seed_of_here is not reproducible (bit for bit, 2 runs, seed 0, varied: process)",
        "",
        "  process    run to run deterministic; differs between this process and another"
        " (PYTHONHASHSEED=1001): result",
        "",
        "  result   str   differs in process 1",
        "    '1' in run 1, '1001' in process 1",
        "",
        "  look for   the order of a set of strings, hash() of a string, order by id() or by the default"
        " hash",
    ]


def test_large_values_are_fetched_and_measured(helper: ModuleType) -> None:
    (mismatch,) = check(helper.large, process=True, diagnose="never").mismatches
    assert (mismatch.name, mismatch.kind) == ("result['ranks']", "int64[300000]")
    assert mismatch.difference is not None
    assert mismatch.difference.total == 300_000
    assert 100_000 < mismatch.difference.differing <= 300_000
    assert mismatch.difference.max_abs is not None
    assert 0 < mismatch.difference.max_abs < 300


@pytest.mark.parametrize("name", ["steady", "draws"])
def test_what_another_process_gives_alike_is_run_there_once(helper: ModuleType, name: str) -> None:
    verdict = check(getattr(helper, name), process=True, runs=3, seed=4)
    assert (verdict.outcome, made(verdict)) == (
        "reproduced", [("repeat", 0), ("repeat", 1), ("repeat", 2), ("process", 1)],
    )  # fmt: skip


def test_arguments_travel_and_a_function_may_live_in_a_class(helper: ModuleType) -> None:
    verdict = check(helper.steady, 7, process=True)
    assert (verdict.outcome, [run.observation_count for run in verdict.runs]) == ("reproduced", [1, 1, 1])
    assert check(helper.Model.predict, process=True, diagnose="never").outcome == "diverged"


def test_the_portable_instruction_set(helper: ModuleType) -> None:
    verdict = check(helper.steady, isa=("native", "default"))
    word, states = ("reproduced", ["ran"]) if _x86() else ("skipped", ["absent"])
    assert (verdict.outcome, [run.state for run in verdict.runs[2:]]) == (word, states)
    assert made(verdict) == [("repeat", 0), ("repeat", 1), ("isa", "default")]
    assert verdict.runs[2].setting == {"isa": "default"}


def _x86() -> bool:
    import platform

    return platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")


def test_what_does_not_repeat_in_another_process_only(helper: ModuleType) -> None:
    lines = failure(helper.uncertain, os.getpid(), process=True)
    assert lines[2].startswith(
        "  process    run to run deterministic in this process; not in process 1: max abs "
    )
    assert lines[4] == "  result   int   differs in process 1, in process 1 again"


def test_an_exception_there_is_a_difference_in_outcome(helper: ModuleType) -> None:
    verdict = check(helper.breaks_elsewhere, os.getpid(), process=True, diagnose="never")
    assert found(verdict) == [("process", 1, None, "outcome")]
    lines = failure(helper.breaks_elsewhere, os.getpid(), process=True)
    assert "  outcome    run 1 passed, run 2 passed, process 1 failed (ValueError: not here)" in lines


def test_a_process_that_dies_is_no_silent_pass(helper: ModuleType) -> None:
    verdict = check(helper.dies_elsewhere, os.getpid(), process=True)
    assert (verdict.outcome, [run.state for run in verdict.runs]) == ("failed", ["ran", "ran", "lost"])
    assert "died while it called the function (exit status 3)" in verdict.runs[2].error


def test_a_process_that_dies_is_told_by_assert_reproducible(helper: ModuleType) -> None:
    with pytest.raises(NotReproducible, match="died while it called the function"):
        assert_reproducible(helper.dies_elsewhere, os.getpid(), process=True)


@pytest.mark.parametrize(
    "made", [lambda h: partial(h.steady, 3), lambda h: h.Model().bound, lambda h: h.Model()],
    ids=["partial", "bound method", "callable object"],
)  # fmt: skip
def test_what_has_no_name_of_its_own_is_refused(
    made: Callable[[ModuleType], Callable[[], object]], helper: ModuleType
) -> None:
    with pytest.raises(ValueError, match=r"^process=.*needs a function that another interpreter can import"):
        check(made(helper), process=True)


@pytest.mark.parametrize("asked", [{"process": True}, {"isa": "default"}, {"machine": "popen"}], ids=str)
def test_a_function_that_nobody_else_can_import_is_refused(asked: dict[str, Any]) -> None:
    (axis,) = asked
    if axis == "isa" and not _x86():
        pytest.skip("nothing is run elsewhere")
    allowed = "needs a function that another interpreter can import: one of a module, no lambda"
    with pytest.raises(ValueError, match=rf"^{axis}=<function .*<lambda> at .*>: {allowed}$"):
        check(lambda: 1, **asked)


def test_arguments_that_do_not_pickle_are_refused(helper: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"^process=<function steady at .*>: its arguments do not pickle: "):
        check(helper.steady, lambda: 1, process=True)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"threads": ()}, r"threads=\(\): one value for all runs, or several, the reference first"),
        ({"threads": (1, 1)}, r"threads=\(1, 1\): each value once"),
        ({"process": 0}, "process=0: True, or a number of interpreters"),
        ({"isa": "mmx"}, "isa='mmx': instruction sets: native, default, avx2, avx512"),
        (
            {"thread": (1, 2)},
            r"thread=\(1, 2\): unknown \(did you mean threads\?\); .*threads$",
        ),
        ({"stress": 3}, "stress=3: takes no values"),
    ],
)
def test_a_wrong_axis_or_value_is_named_before_anything_runs(asked: dict[str, Any], says: str) -> None:
    calls: list[int] = []
    with pytest.raises(ValueError, match=f"^{says}"):
        check(lambda: calls.append(1), **asked)
    assert calls == []


def test_where_no_other_value_is_to_be_had_nothing_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    verdict = check(lambda: 1, dtype=True)
    assert (verdict.outcome, verdict.runs[2].state) == ("skipped", "absent")
    assert verdict.runs[2].error == "torch is not imported, and numpy has no default dtype"


def test_where_nothing_can_be_moved_alignment_is_not_taken_for_reproduced() -> None:
    verdict = check(lambda: np.ones(3), alignment=(0, 1))
    assert (verdict.outcome, verdict.runs[2].state) == ("skipped", "absent")
    assert "nothing was moved" in verdict.runs[2].error


def test_arrays_inside_of_arguments_are_moved() -> None:
    def offset(given: dict[str, list[Any]]) -> int:
        return int(given["x"][0].ctypes.data % 64)

    verdict = check(offset, {"x": [np.ones(3, "f4")]}, alignment=(0, 1), rtol=0, atol=0)
    assert (verdict.outcome, verdict.mismatches[0].axis) == ("diverged", "alignment")


def test_an_assertion_that_compared_nothing_is_a_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    with pytest.raises(unittest.SkipTest, match="nothing was compared: dtype float64: torch is not imported"):
        assert_reproducible(lambda: 1, dtype=True)


@pytest.mark.parametrize("dtype", [[("a", "f4"), ("b", "i8")], "M8[s]", "i8", "c8"])
def test_two_fills_differ_in_every_dtype(dtype: Any) -> None:
    fills = []
    for value in (0, 0.5):
        with get_axis("memory").applied(value):
            fills.append(np.empty(3, dtype).tobytes())
    assert fills[0] != fills[1]
