"""The adapter of numba: generators of compiled code, threads."""

from __future__ import annotations

import platform
import random
from typing import Any

import numpy as np
import pytest

from pytest_repro.adapters import active_adapters, digest, seed_all
from pytest_repro.axes import apply_setting
from pytest_repro.engine.runs.pin import pinned
from tests.conftest import Project

numba: Any = pytest.importorskip("numba")

from pytest_repro.adapters.arrays import numba as module  # noqa: E402
from pytest_repro.adapters.arrays.numba import adapter  # noqa: E402


@numba.njit  # type: ignore[untyped-decorator]
def draw() -> tuple[float, float]:
    return np.random.standard_normal(), random.gauss(0.0, 1.0)


def test_the_layout_of_states_is_known() -> None:
    """numba may change it: then the adapter reads no state."""
    from numba.cpython.randomimpl import rnd_state_t

    assert str(rnd_state_t) == "{i32, [624 x i32], i32, double, i32}"
    assert list(adapter.global_generators()) == ["numba numpy.random", "numba random"]


def test_both_generators_are_seeded_and_restored_bit_for_bit() -> None:
    draw()  # keeps the second number of a pair
    key = adapter.global_states_key()
    restore = adapter.save_global_states()
    expected = [draw() for _ in range(700)]
    restore()
    assert adapter.global_states_key() == key
    with pinned(7):
        first = [draw() for _ in range(3)]
        seed_all(7)
        assert [draw() for _ in range(3)] == first
        assert adapter.global_states_key() != key
    assert adapter.global_states_key() == key
    assert [draw() for _ in range(700)] == expected


def test_seeds_are_those_of_numpy() -> None:
    with pinned(5):
        compiled = numba.njit(lambda: np.random.random())()
    assert compiled == np.random.RandomState(5).random_sample()


def test_states_as_text() -> None:
    generator = adapter.global_generators()["numba random"]
    draw()
    state = adapter.get_state(generator)
    assert state is not None
    first = draw()[1]
    adapter.set_state(generator, state)
    assert draw()[1] == first
    with pytest.raises(ValueError, match=r"a state of 3 bytes: expected 2520"):
        adapter.set_state(generator, "000000")


def test_typed_containers() -> None:
    values = numba.typed.List([np.ones(2), np.zeros(2)])
    assert digest(values) == digest(numba.typed.List([np.ones(2), np.zeros(2)]))
    assert digest(values) != digest([np.ones(2), np.zeros(2)])
    table = numba.typed.Dict.empty(numba.types.unicode_type, numba.types.float64)
    table["a"] = 1.0
    before = digest(table)
    table["a"] = 2.0
    assert digest(table) != before


def test_threads_are_set_within_the_maximum_and_restored() -> None:
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("needs two threads")
    before = module._read_thread_count()
    with apply_setting({"threads": 1}):
        assert numba.get_num_threads() == 1
    with apply_setting({"threads": 10_000}):
        assert numba.get_num_threads() == numba.config.NUMBA_NUM_THREADS
    with pinned():
        numba.set_num_threads(1)
    assert numba.get_num_threads() == before
    assert "numba" in active_adapters()


SUM = """
import numba
import numpy as np
import pytest

@numba.njit(parallel=True)
def add(x):
    total = 0.0
    for i in numba.prange(len(x)):
        total += x[i]
    return total

@pytest.mark.reproducible(threads=(1, 2), rtol=0, atol=0)
def test_sum(repro):
    repro.record(total=add(np.random.rand(1_000_001)))
"""


def test_sums_of_prange_depend_on_the_threads(project: Project) -> None:
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("needs two threads")
    project.inquires = True
    header = "threads    run to run deterministic; differs between 1 and 2 threads: max abs"
    [test] = project(SUM, subprocess=True).check(failed=1, says=header).report["tests"]
    assert (test["cause"]["name"], test["cause"]["location"]) == ("threads", "test_it.py:14")


def test_draws_in_compiled_code_are_seeded(project: Project) -> None:
    """Without the adapter, each run draws other numbers."""
    source = """
    def test_it(repro):
        import numba
        import numpy as np

        @numba.njit
        def noise(n):
            return np.random.standard_normal(n)

        repro.record(x=noise(4))
    """
    result = project(source, "--repro-unseeded=warn", subprocess=True)
    result.check(passed=1, says="random numbers that only pytest-repro seeded: numba at test_it.py:9")
    assert result.verdicts == {"test_it": "reproduced"}


FASTMATH = """
import numba
import numpy as np
import pytest

def add(x):
    total = np.float32(0)
    for i in range(len(x)):
        total += x[i]
    return total

@pytest.mark.parametrize("fastmath", [True, False])
@pytest.mark.reproducible(isa=("native", "default"), rtol=0, atol=0)
def test_sum(repro, fastmath):
    compiled = numba.njit(fastmath=fastmath)(add)
    rows = np.random.rand(20, 100_001).astype("f4")
    repro.record(totals=np.array([compiled(row) for row in rows]))
"""


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="instruction sets of x86")
def test_sums_of_fastmath_depend_on_the_instruction_set(project: Project) -> None:
    project.inquires = True
    result = project(FASTMATH, subprocess=True)
    result.check(failed=1, passed=1, says="generic with isa default")
    cause = result.report["tests"][0]["cause"]
    assert (cause["name"], cause["location"]) == ("isa", "test_it.py:16")
