"""torch has one thread while tests are collected, and its own number of threads afterwards."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

from pytest_repro.engine.experiments.fork import FORK_AVAILABLE
from pytest_repro.engine.experiments.process_setup import get_thread_count, single_threaded

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(("threads_after", "expected"), [(0, None), (3, 3)])
def test_torch_that_is_already_imported(threads_after: int, expected: int | None) -> None:
    before, finders = get_thread_count(), list(sys.meta_path)
    try:
        with pytest.raises(KeyError), single_threaded(threads_after):
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == (expected or before)
        assert sys.meta_path == finders
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not FORK_AVAILABLE, reason="needs os.fork")
def test_fork_computes_after_its_parent_has_computed() -> None:
    """Without the context manager it would wait forever."""
    script = """
    from pytest_repro.engine.experiments.fork import call_in_forks
    from pytest_repro.engine.experiments.process_setup import get_thread_count, single_threaded
    assert get_thread_count() == 0
    with single_threaded(4):
        import torch
        assert get_thread_count() == 1
        table = torch.ones(2_000_000).exp().sum()
    def compute():
        return f"{torch.ones(2_000_000).exp().sum() / table:.3f} {get_thread_count()}".encode()
    print(call_in_forks([compute], 30))
    """
    run = subprocess.run([sys.executable, "-c", dedent(script)], capture_output=True, text=True, timeout=90)
    assert run.stdout.strip() == "[b'1.000 4']", run.stderr
