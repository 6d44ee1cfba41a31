"""Runs programs in forks of an interpreter that has not imported them yet.

The addresses of classes and functions are set when they are imported, so another memory layout must
exist before that. All forks are alike otherwise; each imports the program, runs it, and exits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pytest_repro.companions.remote_main import serve_requests
from pytest_repro.core.diagnose import decode_experiment, encode_experiment
from pytest_repro.engine.experiments.fork import FORK_AVAILABLE, ForkFailed, call_in_forks
from pytest_repro.engine.experiments.process_setup import shifted_heap

ServeFunction = Callable[[Any, Mapping[str, Any]], None]
"""Imports a program and answers requests about it: ``serve(channel, order)``."""


def serve_fresh_forks(serve: ServeFunction, channel: Any, order: Mapping[str, Any]) -> None:
    """Answers ``("try", experiment, seconds, …)``, an experiment of one run, in a fork that calls *serve*."""
    serve_requests(channel, {"try": partial(_run_in_fork, serve, order)})


def _run_in_fork(
    serve: ServeFunction, order: Mapping[str, Any], text: str, seconds: float, *rest: Any
) -> tuple[str, str | bytes]:
    if not FORK_AVAILABLE:
        return "unknown", "needs os.fork, which is unavailable on this machine"
    try:
        # This process does not even decode the experiment: what it keeps in memory would make forks differ.
        run = partial(_run, serve, order, text, (seconds, *rest))
        time.sleep(0.05)  # on a busy machine the thread that received the request is not done yet
        return "tried", call_in_forks([run], seconds)[0]
    except ForkFailed as error:
        return "unknown", str(error)


def _run(serve: ServeFunction, order: Mapping[str, Any], text: str, rest: Any) -> bytes:
    """The encoded result of the experiment in *text*."""
    experiment = decode_experiment(text)
    layout = 2 if experiment.shift_heap else 1  # never the present one, which depends on earlier requests
    single = encode_experiment(experiment._replace(shift_heap=False, fresh_forks=False))
    channel = _ScriptedChannel(("try", single, *rest), ("finish",))
    with shifted_heap(layout=layout):
        # pytest and its plugins, imported first, fill the gaps; the order makes new ones for the program.
        serve(channel, {**order, "memory_layout": layout})
    word, answer = channel.replies[-1]
    if word != "tried":
        raise ForkFailed(answer)
    result: bytes = answer
    return result


class _ScriptedChannel:
    """A channel that receives the given requests and keeps the replies."""

    def __init__(self, *requests: Any) -> None:
        self._requests, self.replies = [*requests], list[Any]()

    def receive(self) -> Any:
        return self._requests.pop(0)

    def send(self, reply: Any) -> None:
        self.replies.append(reply)
