"""Programs that are brought in anew for each run, by forks of an interpreter that has none of them yet.

Where classes and functions lie is settled when they are imported: memory that is laid out in another
way must be so before. All forks are alike but for that; each brings in the program, runs it, and ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

from pytest_repro.companions.remote_main import serve_requests
from pytest_repro.core.diagnose.experiment import (
    Experiment,
    decode_experiment,
    decode_result,
    encode_experiment,
    encode_result,
)
from pytest_repro.engine.experiments.fork import FORK_AVAILABLE, ForkFailed, call_in_forks, join_results
from pytest_repro.engine.experiments.memory_layout import shifted_heap

ServeFunction = Callable[[Any, Mapping[str, Any]], None]
"""The life of a companion that brings in a program: ``serve(channel, order)``."""


def serve_fresh_forks(serve: ServeFunction, channel: Any, order: Mapping[str, Any]) -> None:
    """Answers ``("try", experiment, seconds, …)``, each run with a life of its own.

    Args:
        serve: What lives, in forks.
        channel: execnet's.
        order: Given to *serve*.
    """
    serve_requests(channel, {"try": partial(_run_in_forks, serve, order)})


def _run_in_forks(
    serve: ServeFunction, order: Mapping[str, Any], text: str, seconds: float, *rest: Any
) -> Any:
    if not FORK_AVAILABLE:
        return "unknown", "needs fork, which is not there"
    asked = decode_experiment(text)
    works = [partial(_run_one, serve, order, asked, (seconds, *rest), n) for n in range(len(asked.cells))]
    try:
        return "tried", encode_result(
            join_results([decode_result(said) for said in call_in_forks(works, seconds)])
        )
    except ForkFailed as broken:
        return "unknown", str(broken)


def _run_one(
    serve: ServeFunction, order: Mapping[str, Any], experiment: Experiment, rest: Any, number: int
) -> bytes:
    """What the run of a number has shown."""
    single = experiment._replace(
        cells=experiment.cells[number : number + 1], shift_heap=False, fresh_forks=False
    )
    channel = _ScriptedChannel(("try", encode_experiment(single), *rest), ("finish",))
    with ExitStack() as stack:
        stir = experiment.shift_heap and (number == 1 or not experiment.fresh_forks)
        # Laid out in one way or in another, never as it is: that hangs on what was asked before.
        way = 2 if stir else 1
        stack.enter_context(shifted_heap(layout=way))
        # What it imports first (pytest, plugins) fills the gaps: there are new ones for its own program.
        serve(channel, {**order, "stirred": way})
    word, said = channel.replies[-1]
    if word != "tried":
        raise ForkFailed(said)
    tried: bytes = said
    return tried


class _ScriptedChannel:
    """Stands in the place of a connection: everything that will be asked is there already.

    Attributes:
        replies: The answers.
    """

    def __init__(self, *requests: Any) -> None:
        self._requests, self.replies = [*requests], list[Any]()

    def receive(self) -> Any:
        return self._requests.pop(0)

    def send(self, reply: Any) -> None:
        self.replies.append(reply)
