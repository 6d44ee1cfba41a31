"""A process image that has not computed yet, used as often as it takes: each time in a fork of it.

A fork starts where its parent stands, with the same modules, the same hash seed and the same
addresses, and leaves nothing behind. One whose parent has used torch's threads hangs in the first
parallel op, so the parent must never compute: it only forks, waits, and gives up after a time.
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
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from pytest_repro import causes
from pytest_repro.core.diagnose.experiment import Experiment, ExperimentResult, decode_result, encode_result
from pytest_repro.engine.experiments.preload_imports import preload_imports, report_imports

FORK_AVAILABLE = hasattr(os, "fork")


class ForkFailed(Exception):
    """A fork gave no answer; the message says whether it died, raised or took too long."""


def run_in_forks(
    perform: Callable[[Experiment], ExperimentResult], experiment: Experiment, seconds: float
) -> bytes:
    """What an experiment has shown, as bytes; made in forks, or where there are none, here.

    Args:
        perform: Makes an experiment in the process it is called in.
        experiment: Where it is ``apart``, each of its runs is made in a fork of its own.
        seconds: How long it may take.

    Raises:
        Broken: It gave no answer.
    """
    causes.find_all_targets()  # all are loaded: what a fork had to import first would lay its memory out otherwise
    if not FORK_AVAILABLE:
        return _run_in_process(perform, experiment)
    if not experiment.fresh_forks:
        return _call_with_imports([lambda: encode_result(perform(experiment))], seconds)[0]
    single = [partial(_run_single, perform, experiment, number) for number in range(len(experiment.cells))]
    return encode_result(join_results([decode_result(said) for said in _call_with_imports(single, seconds)]))


def _call_with_imports(functions: Sequence[Callable[[], bytes]], seconds: float) -> list[bytes]:
    said = call_in_forks([partial(report_imports, work) for work in functions], seconds)
    return [preload_imports(each) for each in said]  # when all have been made: they must be alike


def _run_in_process(perform: Callable[[Experiment], ExperimentResult], experiment: Experiment) -> bytes:
    try:
        return encode_result(perform(experiment))
    except Exception as error:
        raise ForkFailed(f"{type(error).__name__}: {error}") from error


def _run_single(
    perform: Callable[[Experiment], ExperimentResult], experiment: Experiment, number: int
) -> bytes:
    stirred = experiment.shift_heap and number == 1
    return encode_result(perform(experiment._replace(cells=(experiment.cells[number],), shift_heap=stirred)))


def join_results(results: Sequence[ExperimentResult]) -> ExperimentResult:
    """Runs made apart, of one cell each, as one experiment."""
    first = results[0]
    differing = tuple(
        n for n, tried in enumerate(results) if tried.reference_digest != first.reference_digest
    )
    return replace(
        first,
        run_count=len(results),
        differing=differing,
        seconds=sum(tried.seconds for tried in results),
        outcomes=tuple(dict.fromkeys(end for tried in results for end in tried.outcomes)),
        not_suspendable=tuple(dict(found for tried in results for found in tried.not_suspendable).items()),
    )


def call_in_forks(functions: Sequence[Callable[[], bytes]], seconds: float) -> list[bytes]:
    """What each of *functions* gives, one after the other, each in a fork of this process as it is now.

    All forks are made before the first begins: between them nothing may be allocated, so that all
    have the same addresses.

    Args:
        functions: Whatever one does to its process is gone with its fork.
        seconds: How long all may take.

    Raises:
        Broken: One died, raised, or took longer.
    """
    turns, answers = [os.pipe() for _ in functions], [os.pipe() for _ in functions]
    pids = array("q", bytes(8 * (len(functions) + 1)))
    end = time.monotonic() + seconds
    time.sleep(0.01)  # until the thread that receives messages has done with the last one
    with warnings.catch_warnings():
        # Python 3.12 warns where there are threads: they wait for messages, and hold no lock.
        warnings.simplefilter("ignore", DeprecationWarning)
        for number in range(-1, len(functions)):  # after the first one, which ends at once, all are alike
            pids[number] = os.fork()
            if not pids[number]:
                if number < 0:
                    os._exit(0)
                os.read(turns[number][0], 1)
                _run_fork(functions[number], answers[number][1])
    try:
        return [_start_and_read(*each, end) for each in zip(turns, answers, pids)]
    finally:
        for each in (*pids,):
            _kill(each)
        for pipe in (*turns, *answers):
            os.close(pipe[0])
            os.close(pipe[1])


def _start_and_read(
    start_pipe: tuple[int, int], answer_pipe: tuple[int, int], pid: int, deadline: float
) -> bytes:
    os.write(start_pipe[1], b"!")
    return _check_answer(_read_pipe(answer_pipe[0], pid, deadline), pid)


def _run_fork(function: Callable[[], bytes], write_fd: int) -> None:
    """The life of a fork, which ends here: nothing of the parent's may be unwound in it."""
    status = 1
    try:
        said = b"+" + function()
        status = 0
    except BaseException as error:
        said = b"-" + "".join(traceback.format_exception_only(type(error), error)).strip().encode()
    with suppress(BaseException):
        with open(write_fd, "wb") as stream:
            stream.write(len(said).to_bytes(8, "little") + said)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def _read_pipe(read_fd: int, pid: int, deadline: float) -> bytes | None:
    """What was written to the pipe; nothing when its writer is gone, None when it takes too long.

    The end of the pipe is not waited for: others hold it open.
    """
    said = bytearray()
    while len(said) < 8 or len(said) < 8 + int.from_bytes(said[:8], "little"):
        if not select.select([read_fd], [], [], 0.2)[0]:
            if time.monotonic() > deadline:
                return None
            if _has_exited(pid) and not select.select([read_fd], [], [], 0)[0]:
                return b""
            continue
        said += os.read(read_fd, 2**20)
    return bytes(said[8:])


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
    """Ends a fork that is still there, and fetches what is left of it."""
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)
    with suppress(OSError):
        os.waitpid(pid, 0)
