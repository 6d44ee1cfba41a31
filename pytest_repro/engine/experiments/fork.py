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
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from pytest_repro import causes
from pytest_repro.adapters import why_not_forkable
from pytest_repro.core.diagnose import (
    Experiment,
    ExperimentResult,
    decode_result,
    encode_result,
    set_cpu_seconds,
)
from pytest_repro.engine.experiments.process_setup import (
    draw_fillers,
    get_cpu_seconds,
    preload_imports,
    report_imports,
)

FORK_AVAILABLE = hasattr(os, "fork")

ExperimentFunction = Callable[[Experiment], ExperimentResult]
"""Runs an experiment in the process that calls it."""


NOT_FORKABLE = "cannot be forked: "
"""How the reason of a :class:`ForkFailed` begins if forks of the process could not compute."""

TOOK_TOO_LONG = "took too long"

_is_disposable: list[bool] = []  # not empty in a fork that runs one experiment and exits


class ForkFailed(Exception):
    """A fork died, raised or took too long; the message says which."""


def dispose_after_experiment() -> None:
    """Notes that this process is a fork that exits after its experiment: it need not fork for it again."""
    _is_disposable.append(True)


def run_in_forks(perform: ExperimentFunction, experiment: Experiment, seconds: float) -> bytes:
    """The encoded result of *experiment*, run in a fork, or in this process where fork is unavailable.

    With ``fresh_forks``, each run gets a fork of its own.

    Raises:
        ForkFailed: A fork died, raised or took longer than *seconds*.
    """
    draw_fillers()
    causes.find_all_targets()  # imports here what each fork would import, which changes its memory layout
    reason = why_not_forkable()
    if reason and not _is_disposable:
        raise ForkFailed(NOT_FORKABLE + reason)
    if _is_disposable or not FORK_AVAILABLE:
        try:
            return encode_result(perform(experiment))
        except Exception as error:
            raise ForkFailed(f"{type(error).__name__}: {error}") from error
    parts, cpu = split_into_runs(experiment) if experiment.fresh_forks else [experiment], get_cpu_seconds()
    functions = [partial(report_imports, partial(_perform_and_encode, perform, part)) for part in parts]
    messages = call_in_forks(functions, seconds, stop_when_differing(experiment, _get_result))
    results = [preload_imports(message) for message in messages]  # after the last fork: all must be alike
    result = encode_result(join_results(results)) if experiment.fresh_forks else results[0]
    return set_cpu_seconds(result, get_cpu_seconds() - cpu)  # with what the forks have imported


def _get_result(message: bytes) -> bytes:
    """What :func:`report_imports` has put after the names of modules."""
    return message.partition(b"\n")[2]


def stop_when_differing(
    experiment: Experiment, get_result: Callable[[bytes], bytes] = bytes
) -> Callable[[list[bytes]], bool]:
    """Whether the messages of some runs of *experiment* are enough, in forks of their own.

    Those with another memory layout are not compared.
    """

    def is_enough(messages: list[bytes]) -> bool:
        plain = messages[:: 1 + experiment.shift_heap]
        return len({decode_result(get_result(each)).reference_digest for each in plain}) > 1

    return is_enough if experiment.fresh_forks and experiment.until_differing else lambda messages: False


def split_into_runs(experiment: Experiment) -> list[Experiment]:
    """An experiment per run; with ``shift_heap``, every second one has another memory layout."""
    return [
        experiment._replace(cells=(cell,), shift_heap=experiment.shift_heap and number % 2 == 1)
        for number, cell in enumerate(experiment.cells)
    ]


def _perform_and_encode(perform: ExperimentFunction, experiment: Experiment) -> bytes:
    return encode_result(perform(experiment))


def join_results(encoded: Sequence[bytes]) -> ExperimentResult:
    """The result of one experiment from encoded results of one run each."""
    runs = [decode_result(data) for data in encoded]
    differing = tuple(n for n, run in enumerate(runs) if run.reference_digest != runs[0].reference_digest)
    ends = [runs[0], runs[next(iter(differing), -1)]] if len(runs) > 1 else runs
    return replace(
        runs[0],
        run_count=len(runs),
        differing=differing,
        traces=tuple(trace for run in ends for trace in run.traces),
        steps=tuple(steps for run in ends for steps in run.steps),
        seconds=sum(run.seconds for run in runs),
        row_digests=tuple(digest for run in runs for digest in run.row_digests),
        outcomes=tuple(dict.fromkeys(outcome for run in runs for outcome in run.outcomes)),
        not_suspendable=tuple(dict(pair for run in runs for pair in run.not_suspendable).items()),
        digests=tuple(run.reference_digest for run in runs),
        layouts=tuple(layout for run in runs for layout in run.layouts),
    )


def call_in_forks(
    functions: Sequence[Callable[[], bytes]],
    seconds: float,
    is_enough: Callable[[list[bytes]], bool] = lambda results: False,
) -> list[bytes]:
    """The results of *functions*, called one after the other, each in a fork of this process.

    Creates all forks before the first call and allocates nothing in between, so that all have the same
    addresses. Ends early when *is_enough* says so of the results so far.

    Raises:
        ForkFailed: A fork died or raised, or all together took longer than *seconds*.
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
    results: list[bytes] = []
    try:
        for start, answer, pid in zip(starts, answers, pids):
            os.write(start[1], b"!")
            results.append(read_answer(answer[0], pid, deadline))
            if is_enough(results):
                break
        return results
    finally:
        for pid in pids:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
            with suppress(OSError):
                os.waitpid(pid, 0)
        for end in (end for pipe in (*starts, *answers) for end in pipe):
            os.close(end)


def _run_fork(function: Callable[[], bytes], write_fd: int) -> None:
    """Calls *function*, writes its result, and exits without unwinding the parent's stack."""
    status = 1
    try:
        message = b"+" + function()
        status = 0
    except BaseException as error:
        message = b"-" + "".join(traceback.format_exception_only(type(error), error)).strip().encode()
    with suppress(BaseException):
        write_answer(write_fd, message)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def read_answer(read_fd: int, pid: int, deadline: float) -> bytes:
    """The result that a fork writes. Does not wait for end of file: other processes hold the pipe open."""
    data, length = bytearray(), 8
    while len(data) < length:
        if select.select([read_fd], [], [], 0.2)[0]:
            data += os.read(read_fd, min(length - len(data), 2**20))
            length = 8 + (int.from_bytes(data[:8], "little") if len(data) >= 8 else 0)
        elif time.monotonic() > deadline:
            raise ForkFailed(TOOK_TOO_LONG)
        elif _has_exited(pid) and not select.select([read_fd], [], [], 0)[0]:
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            how = f"died ({signal.Signals(-code).name})" if code < 0 else f"ended with status {code}"
            raise ForkFailed(how)
    if data[8:9] == b"-":
        raise ForkFailed(data[9:].decode(errors="replace"))
    return bytes(data[9:])


def write_answer(write_fd: int, message: bytes) -> None:
    """Writes *message*, ``+`` and a result or ``-`` and an error, for :func:`read_answer`."""
    with open(write_fd, "wb", closefd=False) as stream:
        stream.write(len(message).to_bytes(8, "little") + message)


def _has_exited(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
