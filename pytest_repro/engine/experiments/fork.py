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
from pytest_repro.core.diagnose.experiment import Experiment, Tried, answer_bytes, tried_of
from pytest_repro.engine.experiments.preload_imports import imported, with_imports

AVAILABLE = hasattr(os, "fork")


class Broken(Exception):
    """A fork gave no answer; the message says whether it died, raised or took too long."""


def tried_apart(perform: Callable[[Experiment], Tried], asked: Experiment, seconds: float) -> bytes:
    """What an experiment has shown, as bytes; made in forks, or where there are none, here.

    Args:
        perform: Makes an experiment in the process it is called in.
        asked: Where it is ``apart``, each of its runs is made in a fork of its own.
        seconds: How long it may take.

    Raises:
        Broken: It gave no answer.
    """
    causes.all_targets()  # all are loaded: what a fork had to import first would lay its memory out otherwise
    if not AVAILABLE:
        return _here(perform, asked)
    if not asked.apart:
        return _forked([lambda: answer_bytes(perform(asked))], seconds)[0]
    single = [partial(_single, perform, asked, number) for number in range(len(asked.cells))]
    return answer_bytes(together([tried_of(said) for said in _forked(single, seconds)]))


def _forked(works: Sequence[Callable[[], bytes]], seconds: float) -> list[bytes]:
    said = forked([partial(with_imports, work) for work in works], seconds)
    return [imported(each) for each in said]  # when all have been made: they must be alike


def _here(perform: Callable[[Experiment], Tried], asked: Experiment) -> bytes:
    try:
        return answer_bytes(perform(asked))
    except Exception as error:
        raise Broken(f"{type(error).__name__}: {error}") from error


def _single(perform: Callable[[Experiment], Tried], asked: Experiment, number: int) -> bytes:
    stirred = asked.stirred and number == 1
    return answer_bytes(perform(asked._replace(cells=(asked.cells[number],), stirred=stirred)))


def together(each: Sequence[Tried]) -> Tried:
    """Runs made apart, of one cell each, as one experiment."""
    first = each[0]
    differing = tuple(n for n, tried in enumerate(each) if tried.shown != first.shown)
    return replace(
        first,
        runs=len(each),
        differing=differing,
        seconds=sum(tried.seconds for tried in each),
        ended=tuple(dict.fromkeys(end for tried in each for end in tried.ended)),
        loose=tuple(dict(found for tried in each for found in tried.loose).items()),
    )


def forked(works: Sequence[Callable[[], bytes]], seconds: float) -> list[bytes]:
    """What each of *works* gives, one after the other, each in a fork of this process as it is now.

    All forks are made before the first begins: between them nothing may be allocated, so that all
    have the same addresses.

    Args:
        works: Whatever one does to its process is gone with its fork.
        seconds: How long all may take.

    Raises:
        Broken: One died, raised, or took longer.
    """
    turns, answers = [os.pipe() for _ in works], [os.pipe() for _ in works]
    pids = array("q", bytes(8 * (len(works) + 1)))
    end = time.monotonic() + seconds
    time.sleep(0.01)  # until the thread that receives messages has done with the last one
    with warnings.catch_warnings():
        # Python 3.12 warns where there are threads: they wait for messages, and hold no lock.
        warnings.simplefilter("ignore", DeprecationWarning)
        for number in range(-1, len(works)):  # after the first one, which ends at once, all are alike
            pids[number] = os.fork()
            if not pids[number]:
                if number < 0:
                    os._exit(0)
                os.read(turns[number][0], 1)
                _work(works[number], answers[number][1])
    try:
        return [_asked(*each, end) for each in zip(turns, answers, pids)]
    finally:
        for each in (*pids,):
            _end(each)
        for pipe in (*turns, *answers):
            os.close(pipe[0])
            os.close(pipe[1])


def _asked(turn: tuple[int, int], answer: tuple[int, int], pid: int, end: float) -> bytes:
    os.write(turn[1], b"!")
    return _answer(_read(answer[0], pid, end), pid)


def _work(work: Callable[[], bytes], writing: int) -> None:
    """The life of a fork, which ends here: nothing of the parent's may be unwound in it."""
    status = 1
    try:
        said = b"+" + work()
        status = 0
    except BaseException as error:
        said = b"-" + "".join(traceback.format_exception_only(type(error), error)).strip().encode()
    with suppress(BaseException):
        with open(writing, "wb") as stream:
            stream.write(len(said).to_bytes(8, "little") + said)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def _read(reading: int, pid: int, end: float) -> bytes | None:
    """What was written to the pipe; nothing when its writer is gone, None when it takes too long.

    The end of the pipe is not waited for: others hold it open.
    """
    said = bytearray()
    while len(said) < 8 or len(said) < 8 + int.from_bytes(said[:8], "little"):
        if not select.select([reading], [], [], 0.2)[0]:
            if time.monotonic() > end:
                return None
            if _ended(pid) and not select.select([reading], [], [], 0)[0]:
                return b""
            continue
        said += os.read(reading, 2**20)
    return bytes(said[8:])


def _ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _answer(said: bytes | None, pid: int) -> bytes:
    if said is None:
        raise Broken("took too long")
    if not said:
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        raise Broken(f"died ({signal.Signals(-code).name})" if code < 0 else f"ended with status {code}")
    if said[:1] == b"-":
        raise Broken(said[1:].decode(errors="replace"))
    return said[1:]


def _end(pid: int) -> None:
    """Ends a fork that is still there, and fetches what is left of it."""
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)
    with suppress(OSError):
        os.waitpid(pid, 0)
