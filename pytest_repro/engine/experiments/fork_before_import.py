"""Programs that are brought in anew for each run, by forks of an interpreter that has none of them yet.

Where classes and functions lie is settled when they are imported: memory that is laid out in another
way must be so before. All forks are alike but for that; each brings in the program, runs it, and ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

from pytest_repro.companions.remote_main import answer
from pytest_repro.core.diagnose.experiment import (
    Experiment,
    answer_bytes,
    experiment_of,
    order_text,
    tried_of,
)
from pytest_repro.engine.experiments.fork import AVAILABLE, Broken, forked, together
from pytest_repro.engine.experiments.memory_layout import stirred

Serve = Callable[[Any, Mapping[str, Any]], None]
"""The life of a companion that brings in a program: ``serve(channel, order)``."""


def serve_anew(serve: Serve, channel: Any, order: Mapping[str, Any]) -> None:
    """Answers ``("try", experiment, seconds, …)``, each run with a life of its own.

    Args:
        serve: What lives, in forks.
        channel: execnet's.
        order: Given to *serve*.
    """
    answer(channel, {"try": partial(_tried, serve, order)})


def _tried(serve: Serve, order: Mapping[str, Any], text: str, seconds: float, *rest: Any) -> Any:
    if not AVAILABLE:
        return "unknown", "needs fork, which is not there"
    asked = experiment_of(text)
    works = [partial(_life, serve, order, asked, (seconds, *rest), n) for n in range(len(asked.cells))]
    try:
        return "tried", answer_bytes(together([tried_of(said) for said in forked(works, seconds)]))
    except Broken as broken:
        return "unknown", str(broken)


def _life(serve: Serve, order: Mapping[str, Any], asked: Experiment, rest: Any, number: int) -> bytes:
    """What the run of a number has shown."""
    single = asked._replace(cells=asked.cells[number : number + 1], stirred=False, apart=False)
    channel = _Told(("try", order_text(single), *rest), ("finish",))
    with ExitStack() as stack:
        stir = asked.stirred and (number == 1 or not asked.apart)
        # Laid out in one way or in another, never as it is: that hangs on what was asked before.
        way = 2 if stir else 1
        stack.enter_context(stirred(way=way))
        # What it imports first (pytest, plugins) fills the gaps: there are new ones for its own program.
        serve(channel, {**order, "stirred": way})
    word, said = channel.said[-1]
    if word != "tried":
        raise Broken(said)
    tried: bytes = said
    return tried


class _Told:
    """Stands in the place of a connection: everything that will be asked is there already.

    Attributes:
        said: The answers.
    """

    def __init__(self, *asked: Any) -> None:
        self._asked, self.said = [*asked], list[Any]()

    def receive(self) -> Any:
        return self._asked.pop(0)

    def send(self, said: Any) -> None:
        self.said.append(said)
