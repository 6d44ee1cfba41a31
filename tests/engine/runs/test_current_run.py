from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_repro import shift_alignment
from pytest_repro.engine.runs.current_run import choose_seed, get_current_run

if TYPE_CHECKING:
    from tests.conftest import Project


def test_outside_of_tests_there_is_none() -> None:
    assert get_current_run() is None
    assert (choose_seed(None), choose_seed(3)) == (0, 3)
    x = np.arange(3)
    assert shift_alignment(x) is not x
    assert (shift_alignment(x) == x).all()


def test_assertions_of_the_package_are_observations(project: Project) -> None:
    project("""
        from concurrent.futures import ThreadPoolExecutor
        import numpy as np
        import pytest
        from pytest_repro import assert_batch_invariant, assert_no_draws, assert_reproducible, check

        pytestmark = pytest.mark.reproducible
        X = np.arange(20.0).reshape(10, 2)

        def test_batch(): assert_batch_invariant(lambda rows: rows * 2, X)
        def test_function(): assert_reproducible(np.random.rand)
        def test_thread():
            with ThreadPoolExecutor(1) as pool: pool.submit(assert_reproducible, np.random.rand).result()
        def test_block():
            with assert_no_draws(): pass
        def test_nothing(): check(np.random.rand)
    """).check(passed=4, failed=1, says="test_nothing observed nothing")


def test_the_seed_and_the_offset_are_of_the_run(project: Project) -> None:
    project("""
        import numpy as np
        import pytest
        from pytest_repro import assert_batch_invariant, probe_instability, shift_alignment

        @pytest.mark.reproducible(seed=3, alignment=(0, 1))
        def test_a(repro):
            x = shift_alignment(np.arange(4.0))
            assert x.ctypes.data % 64 == 8 * repro.setting["alignment"]
            drawn = []
            assert_batch_invariant(lambda rows: drawn.append(np.random.rand()) or rows, x)
            probe_instability(lambda rows: drawn.append(np.random.rand()) or rows, x)
            assert drawn[-1] == repro.rng().random() or drawn[-1] == np.random.RandomState(3).rand()
            repro.record(x=x)

        @pytest.mark.reproducible(alignment=(0, 1))
        def test_b(repro): repro.record(x=1)
    """).check(passed=1, skipped=1, says="passed nothing through shift_alignment()")


@pytest.mark.skipif(find_spec("anyio") is None, reason="anyio is not installed")
def test_an_async_test_has_one(project: Project) -> None:
    project(
        """
        import numpy as np
        import pytest
        from pytest_repro import assert_reproducible

        @pytest.fixture
        def anyio_backend(): return "asyncio"

        @pytest.fixture
        async def ready(anyio_backend): return 1

        @pytest.mark.anyio
        @pytest.mark.reproducible
        async def test_a(ready): assert_reproducible(np.random.rand)
    """,
        plugins=["anyio"],
    ).check(passed=1)
