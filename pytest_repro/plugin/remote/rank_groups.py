"""The ranks of a session: started when first needed, one group for each number of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import pytest

from pytest_repro.companions.companion import Lost
from pytest_repro.companions.ranks.group import Group
from pytest_repro.companions.serialize_run import unpacked
from pytest_repro.core.plan.cell import Cell
from pytest_repro.core.runs.join_ranks import Part, joined, unnamed, whole, worst
from pytest_repro.core.runs.observation import Key
from pytest_repro.core.runs.run import Run
from pytest_repro.engine.runs.remote_recording import Fetch, Received
from pytest_repro.engine.runs.remote_run import fetched, plain
from pytest_repro.plugin import SETTINGS, peers
from pytest_repro.plugin.pytest_internals import basetemp
from pytest_repro.plugin.remote.companion_session import Place
from pytest_repro.plugin.remote.rank_session import RANK, SIZE, Answer, Property, Section
from pytest_repro.plugin.remote.workerinput import not_handed_on, order
from pytest_repro.plugin.run.progress import Progress

_SPARE = 3
"""Runs that may be repeated because a library was first imported in one of their ranks."""

World = tuple[list[str], dict[str, str]]
"""``sys.path`` and the environment, as they were before any test had run."""


class Made(NamedTuple):
    """A run that was made in ranks.

    Attributes:
        run: What they did.
        recording: What they recorded, by rank.
        fetch: Gives the values, until the next run.
        expected: Why the failure that it is told by was expected; None where it was not.
        answers: Of each rank.
    """

    run: Run
    recording: Received
    fetch: Fetch
    expected: str | None
    answers: Mapping[int, Answer]

    @property
    def sections(self) -> Iterator[tuple[int, Section]]:
        """What each rank printed."""
        for rank, answer in self.answers.items():
            yield from ((rank, section) for section in answer.sections)

    @property
    def properties(self) -> Iterator[Property]:
        """What the test's report is to hold: of the first rank, and by rank what others have otherwise."""
        first, *others = self.answers
        yield from (own := self.answers[first].properties)
        for rank in others:
            for name, value in self.answers[rank].properties:
                if (name, value) not in own:
                    yield f"rank{rank}.{name}", value


class Ranks:
    """Runs tests in ranks.

    A group stays for the session, since each rank pays for importing torch and for collecting; the
    process group of torch is made anew for each run.
    """

    def __init__(
        self, config: pytest.Config, places: Mapping[pytest.Item, Place], world: World, argv: list[str],
        progress: Progress,
    ) -> None:  # fmt: skip
        self._config, self._places, self._progress = config, places, progress
        self._world, self._argv = world, argv
        self._groups: dict[int, Group] = {}
        self._given_up: dict[int, str] = {}

    def run(self, item: pytest.Item, size: int, cell: Cell, number: int) -> Made:
        """Makes one run of *item* in *size* ranks.

        Raises:
            Lost: A rank died, or hangs, or could not be started.
        """
        with peers.waiting(item):  # a limit on the test is not for what starts once in a session
            group = self._group(size)
        try:
            for _ in range(1 + _SPARE):
                group.ask("run", *self._places[item], number, *plain(cell))
                said = group.answers("in the test", _failed)
                answers = {rank: _known(each) for rank, each in sorted(said.items())}
                if len(said) < size or all(each.settled for each in answers.values()):
                    break
        except pytest.fail.Exception as stopped:  # by a limit on the test: pytest-timeout's
            where = group.places()
            self._drop(size)
            raise Lost(f"{stopped}\n{where}") from None
        except BaseException:
            self._drop(size)
            raise
        made = _made(group, answers, cell)
        if len(said) < size:  # the others hang, since one has failed
            self._drop(size)
        return made

    def _group(self, size: int) -> Group:
        if size in self._given_up:
            raise Lost(self._given_up[size])
        if size not in self._groups:
            self._progress.say(f"starting {size} ranks")
            try:
                self._groups[size] = self._started(size)
            except Lost as lost:  # another start would end likewise
                self._given_up[size] = f"{size} ranks could not be started: {lost}"
                raise Lost(self._given_up[size]) from None
        return self._groups[size]

    def _started(self, size: int) -> Group:
        if find_spec("torch") is None:
            raise Lost("torch is not installed")
        if why := not_handed_on(self._config):
            raise Lost(why)
        limit, (paths, environ) = self._config.stash[SETTINGS].companion_timeout, self._world
        folder = basetemp(self._config)
        orders = [self._order(size, rank, folder) for rank in range(size)]
        group = Group(orders, paths, environ, limit, folder)
        try:
            group.answers("while the tests were collected", lambda said: False)
        except BaseException:
            group.kill()
            raise
        return group

    def _order(self, size: int, rank: int, folder: str) -> dict[str, Any]:
        told = order(self._config, f"{size} ranks {rank}", True, folder, self._argv)
        told["workerinput"] |= {RANK: rank, SIZE: size}
        if self._config.getoption("capture", None) == "no":  # what ranks print goes through the session
            told["args"].append("--capture=sys")
        return {**told, "serve": "pytest_repro.plugin.remote.rank_session"}

    def _drop(self, size: int) -> None:
        self._groups.pop(size).kill()

    def end(self, nodeid: str | None, nth: int) -> None:
        """Has ranks tear down what the next test does not need."""
        for group in self._groups.values():
            group.ask("end", nodeid, nth)

    def close(self, at_once: bool) -> None:
        """Ends all ranks; gives them a few seconds, unless *at_once*."""
        groups = list(self._groups.values())
        self._groups.clear()
        if not at_once:
            for group in groups:
                group.finish()
        for group in groups:
            group.kill() if at_once else group.end()


def _known(said: Any) -> Answer:
    """What a rank said of a run.

    Raises:
        Lost: It knows no such test.
    """
    if said[0] != "ran":
        raise Lost(f"a rank {said[1]}")
    return Answer(*said[1:])


def _failed(said: Any) -> bool:
    return said[0] != "ran" or Answer(*said[1:]).outcome == "failed"


def _made(group: Group, answers: Mapping[int, Answer], cell: Cell) -> Made:
    parts = [
        Part(rank, *unpacked(each.text, cell), each.ended, each.expected) for rank, each in answers.items()
    ]
    run = whole(parts)
    recording = Received({each.key: each for each in joined(parts)}, run.left_out)
    return Made(run, recording, partial(_fetch, group), worst(parts).expected, answers)


def _fetch(group: Group, key: Key, logits: bool = False) -> Iterable[memoryview] | None:
    rank, its = unnamed(key)
    return fetched(group.ranks[rank], its, logits)
