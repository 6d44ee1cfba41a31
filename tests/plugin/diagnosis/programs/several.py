"""Programs with several calls or changes, of which one or none makes the difference."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

FIRST: list[int] = []
SECOND: dict[int, int] = {}
THIRD = [0]
NORM = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
DRAWS = torch.Generator().manual_seed(0)
NOISE = np.random.default_rng(0)


class Settings:
    """Settings of a library."""

    width = 4
    made = 0


def test_one_of_three_generators(repro: Any) -> None:
    before = np.random.default_rng().normal()
    noise = np.random.default_rng().normal()
    after = np.random.default_rng().normal()
    repro.record(noise=noise)
    assert before != after


def test_one_of_three_globals(repro: Any) -> None:
    FIRST.append(1)
    SECOND[len(SECOND)] = 1
    THIRD[0] += 1
    repro.record(length=len(SECOND))


def test_class_attribute(repro: Any) -> None:
    Settings.made += 1
    repro.record(made=Settings.made)


def test_buffers(repro: Any) -> None:
    NORM(torch.randn(8, 4))
    repro.record(mean=NORM[1].running_mean)


def test_drawn_from_a_global(repro: Any) -> None:
    repro.record(draw=torch.randn(3, generator=DRAWS))


def test_noise_from_a_global(repro: Any) -> None:
    repro.record(noise=NOISE.normal())


def test_used_time(repro: Any) -> None:
    total = sum(range(300_000))
    used = os.times().elapsed, resource.getrusage(resource.RUSAGE_SELF).ru_utime
    repro.record(used=used)
    assert total


def test_when_a_file_was_written(repro: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a")
    written = path.stat().st_mtime_ns
    repro.record(written=written)


def test_meeting_threads(repro: Any) -> None:
    barrier, done = threading.Barrier(8), list[int]()

    def work(number: int) -> None:
        for _ in range(3):
            barrier.wait()
            done.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    repro.record(done=done)


def test_says_a_program(repro: Any) -> None:
    said = subprocess.check_output(["date", "+%N"])
    repro.record(said=int(said))


@pytest.fixture
def fresh() -> torch.nn.Sequential:
    return torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))


def test_buffers_mended(repro: Any, fresh: torch.nn.Sequential) -> None:
    fresh(torch.randn(8, 4))
    repro.record(mean=fresh[1].running_mean)


def test_drawn_from_a_global_mended(repro: Any) -> None:
    repro.record(draw=torch.randn(3, generator=repro.generator()))


def test_noise_from_a_global_mended(repro: Any) -> None:
    repro.record(noise=repro.rng().normal())
