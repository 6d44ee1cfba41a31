"""Runs pytest sessions in turn, each in a fork of one process that has pytest imported (Unix only).

A fork starts where the last one started: no session sees another's modules or caches, and what
every session pays alike, the interpreter and pytest's own imports, is left out of all of them.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# A real installation has its byte code ready: an environment that forbids writing it must not count.
sys.dont_write_bytecode = False

import pytest  # noqa: E402

OURS = ("-p", "repro", "-p", "repro_marker")
_FILLERS = ("keyword", "token")  # modules without hooks
"""What takes the place of the plugin: naming any plugin makes pytest list what is installed."""


def named(*plugins: str) -> tuple[str, ...]:
    """Options that load *plugins*, filled up to two names, so that sessions differ in them alone."""
    filled = [*plugins, *_FILLERS][: max(2, len(plugins))]
    return tuple(part for name in filled for part in ("-p", name))


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of one session.

    Attributes:
        cpu: Processor time of the whole session.
        finish: Wall time of the hooks ``pytest_collection_finish``.
        loop: Wall time of the hook ``pytest_runtestloop``: all tests, reports included.
        loop_cpu: Processor time of the same.
        told: What the test module itself measured, as its ``SPENT``.
    """

    cpu: float
    finish: float
    loop: float
    loop_cpu: float
    told: float


class _Stopwatch:
    def __init__(self) -> None:
        self.finish = self.loop = self.loop_cpu = 0.0

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_finish(self) -> Generator[None, Any, Any]:
        start = time.perf_counter()
        found = yield
        self.finish = time.perf_counter() - start
        return found

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, Any, Any]:
        start, cpu = time.perf_counter(), time.process_time()
        found = yield
        self.loop, self.loop_cpu = time.perf_counter() - start, time.process_time() - cpu
        return found


def session(folder: Path, *arguments: str) -> Taken:
    """One session in *folder*, in a fork.

    Raises:
        RuntimeError: Its tests did not pass.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os._exit(_in_child(folder, arguments, write))
    os.close(write)
    with os.fdopen(read) as stream:
        said = stream.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != 0 or not said:
        raise RuntimeError(f"pytest {' '.join(arguments)}: exit status {status}")
    return Taken(**json.loads(said))


def _in_child(folder: Path, arguments: tuple[str, ...], write: int) -> int:
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.chdir(folder)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    watch = _Stopwatch()
    start = time.process_time()
    status = pytest.main(["-q", "-p", "no:cacheprovider", *arguments], plugins=[watch])
    cpu = time.process_time() - start
    told = max((getattr(module, "SPENT", 0.0) for module in [*sys.modules.values()]), default=0.0)
    rest = {"finish": watch.finish, "loop": watch.loop, "loop_cpu": watch.loop_cpu, "told": told}
    os.write(write, json.dumps({"cpu": cpu, **rest}).encode())
    return 0 if status in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) else int(status)


def in_turn(folder: Path, ways: Mapping[str, tuple[str, ...]], rounds: int) -> dict[str, list[Taken]]:
    """Sessions with the options *ways*, A B C A B C …; the first round is not counted."""
    taken: dict[str, list[Taken]] = {name: [] for name in ways}
    gc.freeze()
    for turn in range(rounds + 1):
        for name, arguments in ways.items():
            found = session(folder, *arguments)
            if turn:
                taken[name].append(found)
    return taken


Read = Callable[[Taken], float]


def least(taken: list[Taken], read: Read) -> float:
    """The least that was taken: what is left when nobody else was running."""
    return min(map(read, taken))


def difference(taken: list[Taken], base: list[Taken], read: Read) -> float:
    """Median of the differences between sessions of the same round."""
    return statistics.median(read(a) - read(b) for a, b in zip(taken, base))


def ratio(taken: list[Taken], base: list[Taken], read: Read) -> float:
    """Median of the ratios between sessions of the same round."""
    return statistics.median(read(a) / read(b) for a, b in zip(taken, base))
