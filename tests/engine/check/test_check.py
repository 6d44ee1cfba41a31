"""The same verdict without pytest."""

from __future__ import annotations

import itertools
import os
import pickle
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pytest_repro import NotReproducible, assert_reproducible, check, deterministic, pinned, seed_all


def draws() -> dict[str, Any]:
    return {"python": random.random(), "numpy": np.random.rand(300)}


def test_seeded_draws_reproduce_and_leave_the_generators_alone() -> None:
    before = random.getstate(), str(np.random.get_state())
    verdict = check(draws, runs=3, seed=5)
    assert (verdict.outcome, len(verdict.runs), verdict.reproduced) == ("reproduced", 3, True)
    assert before == (random.getstate(), str(np.random.get_state()))


def test_what_differs_is_named_with_its_path_and_distance() -> None:
    numbers = itertools.count()

    def step(start: float) -> dict[str, Any]:
        return {"loss": [start, start + next(numbers)], "w": np.zeros(2)}

    verdict = check(step, 1.0)
    (found,) = verdict.mismatches
    assert (
        verdict.outcome,
        found.name,
        found.kind,
        found.value,
    ) == ("diverged", "result['loss'][1]", "float", 1)
    assert found.difference is not None
    assert (
        found.difference.max_abs,
        found.difference.max_rel,
        found.difference.first_values,
    ) == (1.0, 1.0, ("1.0", "2.0"))


def test_a_tolerance_forgives() -> None:
    def noisy() -> np.ndarray[Any, Any]:
        return np.ones(1000) + np.random.default_rng().random(1000) * 1e-9

    assert check(noisy).outcome == "diverged"
    assert check(noisy, rtol=1e-6, atol=0.0).outcome == "reproduced"
    with pytest.raises(NotReproducible, match="outside the tolerance"):
        assert_reproducible(noisy, rtol=5e-10, atol=0.0)


def test_what_the_function_raises_is_a_verdict_and_is_raised() -> None:
    def broken() -> None:
        raise ValueError("mine")

    verdict = check(broken)
    assert (verdict.outcome, verdict.runs[1].error) == ("failed", "ValueError: mine")
    with pytest.raises(ValueError, match="mine"):
        assert_reproducible(broken)


def test_nothing_returned_is_nothing_observed() -> None:
    assert check(lambda: None).outcome == "unobserved"
    with pytest.raises(NotReproducible, match="observed nothing"):
        assert_reproducible(lambda: None)


def test_the_error_carries_its_verdict_through_pickle() -> None:
    with pytest.raises(NotReproducible, match="is not reproducible") as caught:
        assert_reproducible(os.urandom, 4)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(caught.value), "diverged") == (str(again), again.verdict.outcome)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"runs": 0}, "runs=0"),
        ({"seed": 2**32}, "seed="),
        ({"rtol": 1.0}, "rtol=1.0: rtol and atol belong together"),
        ({"colour": 1}, "colour=1: unknown"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check(draws, **arguments)


def test_pinned_restores_after_an_exception() -> None:
    before = random.getstate()
    with pytest.raises(KeyboardInterrupt), pinned(3) as seed:
        assert seed == 3
        first = random.random()
        raise KeyboardInterrupt
    assert before == random.getstate()
    with pinned(3):
        assert first == random.random()


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "0", True])
def test_a_seed_that_some_library_would_refuse_is_refused(seed: Any) -> None:
    for use in (seed_all, pinned(seed).__enter__):
        with pytest.raises(ValueError, match="a whole number, 0 to 4294967295"):
            use() if use is not seed_all else seed_all(seed)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match='True, False or "warn"'):
        deterministic("on").__enter__()  # type: ignore[arg-type]


def test_a_library_imported_by_the_function_does_not_count_as_a_difference() -> None:
    pytest.importorskip("torch")
    code = (
        "import sys; from pytest_repro import check\n"
        "def f():\n    import torch\n    return torch.rand(3)\n"
        "v = check(f); assert 'torch' in sys.modules; sys.exit(v.outcome != 'reproduced')"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_cause_is_found_of_a_function_that_only_this_process_has() -> None:
    def noisy() -> float:
        return random.Random().random()

    found = check(noisy).cause
    assert found is not None
    assert (found.name, found.fix) == ("os-entropy", "pass a seed: random.Random(0)")
    assert found.location == f"{__file__}:{noisy.__code__.co_firstlineno + 1}"
    assert check(noisy, diagnose="never").cause is None


def test_what_a_closure_keeps_is_left_unknown_here_and_told() -> None:
    kept: list[int] = []

    def keeping() -> int:
        kept.append(1)
        return len(kept)

    found = check(keeping, diagnose="always").cause
    assert found is not None
    assert (found.name, "shared-state" in found.ruled_out) == ("unknown", False)
    assert (
        "could not be suspended: shared-state, address-order (no fresh process is available)"
        in found.explanation
    )


def test_the_cause_is_found_of_a_module_function_in_fresh_processes(
    write_module: Callable[[str, str], Any],
) -> None:
    checked_module = write_module(
        "checked_module",
        "import os\nDONE = []\ndef keeping(step):\n    DONE.append(step)\n    return len(DONE)\n"
        "def named():\n    return ','.join({'one', 'two', 'three', 'four', 'five', 'six'})\n",
    )
    found = check(checked_module.keeping, 3).cause
    assert found is not None
    assert (found.name, found.location) == ("shared-state", f"{checked_module.__file__}:2")
    found = check(checked_module.named, process=True).cause
    assert found is not None
    assert (found.name, found.location) == ("hash-seed", f"{checked_module.__file__}:7")
