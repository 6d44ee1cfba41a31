"""Runs pytest sessions in turn, each in a fork of one process that has imported pytest (Unix only).

Every session starts from the same state and sees no modules or caches of another one. The start of
the interpreter and the import of pytest, which all sessions share, are left out of the times.
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
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

# An installation has its byte code ready, so an environment that forbids writing it must not count.
sys.dont_write_bytecode = False

import pytest  # noqa: E402
from _timing import QUICK  # noqa: E402

REPRO = ("-p", "repro", "-p", "repro_marker")
_FILLERS = ("empty_plugin", "other_empty_plugin")
sys.modules.update({name: ModuleType(name, "PYTEST_DONT_REWRITE") for name in _FILLERS})  # no warning


def load_plugins(*plugins: str) -> tuple[str, ...]:
    """Options that load *plugins*, filled up with empty modules to two names.

    The first ``-p`` makes pytest list the installed distributions: all sessions pay for that.
    """
    names = [*plugins, *_FILLERS][: max(2, len(plugins))]
    return tuple(word for name in names for word in ("-p", name))


def only_installed(**options: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """*options* of the plugins that are installed, by name without ``pytest-``."""
    return {f"pytest-{name}": words for name, words in options.items() if find_spec(f"pytest_{name}")}


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """Seconds of one session.

    Attributes:
        cpu: Processor time of the whole session.
        finish: Wall time of the hooks ``pytest_collection_finish``.
        loop: Wall time of the hook ``pytest_runtestloop``: all tests, their reports included.
        loop_cpu: Processor time of the same.
        body: What the test module measured itself, as its ``SPENT``.
    """

    cpu: float
    finish: float
    loop: float
    loop_cpu: float
    body: float


class _Stopwatch:
    def __init__(self) -> None:
        self.finish = self.loop = self.loop_cpu = 0.0

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_finish(self) -> Generator[None, Any, Any]:
        start = time.perf_counter()
        result = yield
        self.finish = time.perf_counter() - start
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, Any, Any]:
        start, cpu = time.perf_counter(), time.process_time()
        result = yield
        self.loop, self.loop_cpu = time.perf_counter() - start, time.process_time() - cpu
        return result


def run_session(folder: Path, *arguments: str) -> SessionTimes:
    """Times of one session in *folder*, in a fork.

    Raises:
        RuntimeError: Its tests did not pass.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os._exit(_run_in_child(folder, arguments, write))
    os.close(write)
    with os.fdopen(read) as stream:
        text = stream.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != 0 or not text:
        raise RuntimeError(f"pytest {' '.join(arguments)}: exit status {status}")
    return SessionTimes(**json.loads(text))


def _run_in_child(folder: Path, arguments: tuple[str, ...], write: int) -> int:
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.chdir(folder)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    watch = _Stopwatch()
    start = time.process_time()
    status = pytest.main(["-q", "-p", "no:cacheprovider", *arguments], plugins=[watch])
    cpu = time.process_time() - start
    body = max((getattr(module, "SPENT", 0.0) for module in [*sys.modules.values()]), default=0.0)
    rest = {"finish": watch.finish, "loop": watch.loop, "loop_cpu": watch.loop_cpu, "body": body}
    os.write(write, json.dumps({"cpu": cpu, **rest}).encode())
    return 0 if status in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) else int(status)


def run_in_turn(
    folder: Path, options: Mapping[str, tuple[str, ...]], rounds: int
) -> dict[str, list[SessionTimes]]:
    """Times of sessions with each of *options*, A B C A B C …, after an unmeasured round."""
    times: dict[str, list[SessionTimes]] = {name: [] for name in options}
    gc.freeze()
    for turn in range(QUICK, rounds + 1):
        for name, arguments in options.items():
            session = run_session(folder, *arguments)
            if turn:
                times[name].append(session)
    return times


Read = Callable[[SessionTimes], float]


def median_difference(times: list[SessionTimes], base: list[SessionTimes], read: Read) -> float:
    """Median of the differences between sessions of the same round."""
    return statistics.median(read(a) - read(b) for a, b in zip(times, base))


def median_ratio(times: list[SessionTimes], base: list[SessionTimes], read: Read) -> float:
    """Median of the ratios between sessions of the same round."""
    return statistics.median(read(a) / read(b) for a, b in zip(times, base))
