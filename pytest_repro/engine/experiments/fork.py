"""Runs functions in forks of a process that has not computed yet.

Each fork starts in the state of its parent, with the same modules, hash seed and addresses, and
leaves nothing behind. If the parent has used torch's threads, the first parallel op in a fork hangs;
so the parent never computes, it only forks and waits, with a timeout.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
import traceback
import warnings
from array import array
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from pytest_repro import causes
from pytest_repro.core.diagnose import Experiment, ExperimentResult, decode_result, encode_result
from pytest_repro.engine.experiments.process_setup import preload_imports, report_imports

FORK_AVAILABLE = hasattr(os, "fork")


class ForkFailed(Exception):
    """A fork died, raised or took too long; the message says which."""


def run_in_forks(
    perform: Callable[[Experiment], ExperimentResult], experiment: Experiment, seconds: float
) -> bytes:
    """The encoded result of *experiment*, run in a fork, or in this process where fork is unavailable.

    Args:
        perform: Runs an experiment in the process that calls it.
        experiment: With ``fresh_forks``, each run gets a fork of its own.
        seconds: Time limit.

    Raises:
        ForkFailed: A fork died, raised or took too long.
    """
    causes.find_all_targets()  # imports here what each fork would import, which changes its memory layout
    if not FORK_AVAILABLE:
        return _run_in_process(perform, experiment)
    if not experiment.fresh_forks:
        return _call_with_imports([lambda: encode_result(perform(experiment))], seconds)[0]
    runs = [partial(_run_single, perform, experiment, number) for number in range(len(experiment.cells))]
    return encode_result(join_results(map(decode_result, _call_with_imports(runs, seconds))))


def _call_with_imports(functions: Sequence[Callable[[], bytes]], seconds: float) -> list[bytes]:
    messages = call_in_forks([partial(report_imports, function) for function in functions], seconds)
    return [preload_imports(message) for message in messages]  # after the last fork: all must be alike


def _run_in_process(perform: Callable[[Experiment], ExperimentResult], experiment: Experiment) -> bytes:
    try:
        return encode_result(perform(experiment))
    except Exception as error:
        raise ForkFailed(f"{type(error).__name__}: {error}") from error


def _run_single(
    perform: Callable[[Experiment], ExperimentResult], experiment: Experiment, number: int
) -> bytes:
    shift_heap = experiment.shift_heap and number == 1
    return encode_result(
        perform(experiment._replace(cells=(experiment.cells[number],), shift_heap=shift_heap))
    )


def join_results(results: Iterable[ExperimentResult]) -> ExperimentResult:
    """The result of one experiment from results of one run each."""
    runs = list(results)
    return replace(
        runs[0],
        run_count=len(runs),
        differing=tuple(n for n, run in enumerate(runs) if run.reference_digest != runs[0].reference_digest),
        seconds=sum(run.seconds for run in runs),
        outcomes=tuple(dict.fromkeys(outcome for run in runs for outcome in run.outcomes)),
        not_suspendable=tuple(dict(pair for run in runs for pair in run.not_suspendable).items()),
    )


def call_in_forks(functions: Sequence[Callable[[], bytes]], seconds: float) -> list[bytes]:
    """The results of *functions*, called one after the other, each in a fork of this process.

    Creates all forks before the first call and allocates nothing in between, so that all have the
    same addresses.

    Args:
        functions: Called in this order.
        seconds: Time limit for all calls together.

    Raises:
        ForkFailed: A fork died, raised or took too long.
    """
    starts, answers = [os.pipe() for _ in functions], [os.pipe() for _ in functions]
    pids = array("q", bytes(8 * (len(functions) + 1)))
    deadline = time.monotonic() + seconds
    time.sleep(0.01)  # lets the thread that receives messages finish the last one
    with warnings.catch_warnings():
        # Python 3.12 warns if there are other threads; these wait for messages and hold no lock.
        warnings.simplefilter("ignore", DeprecationWarning)
        for number in range(-1, len(functions)):  # a first fork, which exits at once, makes the others alike
            pids[number] = os.fork()
            if not pids[number]:
                if number < 0:
                    os._exit(0)
                os.read(starts[number][0], 1)
                _run_fork(functions[number], answers[number][1])
    try:
        return [_start_and_read(*fork, deadline) for fork in zip(starts, answers, pids)]
    finally:
        for pid in (*pids,):
            _kill(pid)
        for pipe in (*starts, *answers):
            os.close(pipe[0])
            os.close(pipe[1])


def _start_and_read(
    start_pipe: tuple[int, int], answer_pipe: tuple[int, int], pid: int, deadline: float
) -> bytes:
    os.write(start_pipe[1], b"!")
    return _check_answer(_read_pipe(answer_pipe[0], pid, deadline), pid)


def _run_fork(function: Callable[[], bytes], write_fd: int) -> None:
    """Calls *function*, writes its result, and exits without unwinding the parent's stack."""
    status = 1
    try:
        message = b"+" + function()
        status = 0
    except BaseException as error:
        message = b"-" + "".join(traceback.format_exception_only(type(error), error)).strip().encode()
    with suppress(BaseException):
        with open(write_fd, "wb") as stream:
            stream.write(len(message).to_bytes(8, "little") + message)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def _read_pipe(read_fd: int, pid: int, deadline: float) -> bytes | None:
    """The message in the pipe; empty if the writer has exited, None after the deadline.

    Does not wait for end of file: other processes hold the pipe open.
    """
    data = bytearray()
    while len(data) < 8 or len(data) < 8 + int.from_bytes(data[:8], "little"):
        if not select.select([read_fd], [], [], 0.2)[0]:
            if time.monotonic() > deadline:
                return None
            if _has_exited(pid) and not select.select([read_fd], [], [], 0)[0]:
                return b""
            continue
        data += os.read(read_fd, 2**20)
    return bytes(data[8:])


def _has_exited(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _check_answer(message: bytes | None, pid: int) -> bytes:
    if message is None:
        raise ForkFailed("took too long")
    if not message:
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        raise ForkFailed(f"died ({signal.Signals(-code).name})" if code < 0 else f"ended with status {code}")
    if message[:1] == b"-":
        raise ForkFailed(message[1:].decode(errors="replace"))
    return message[1:]


def _kill(pid: int) -> None:
    """Ends a fork if it still runs, and reaps it."""
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)
    with suppress(OSError):
        os.waitpid(pid, 0)
