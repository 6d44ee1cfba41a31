"""Other plugins whose fixtures keep count over a session: one file each, awake when imported.

Most plugins need nothing: a rehearsal reports to nobody. These would see it all the same, or see
runs that must be alike differ.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cache
from typing import Any

import pytest

from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.plugins import catalogue, load


class Peer:
    """What one other plugin needs. Every method may be left as it is."""

    #: The module that must have been imported for this peer to matter.
    module = ""

    def worker(self, config: pytest.Config) -> Mapping[str, object]:
        """What a companion's ``workerinput`` must hold for it, plain data."""
        return {}

    def acting(self, item: pytest.Item, plan: Plan) -> AbstractContextManager[None]:
        """Around all runs of *item*."""
        return nullcontext()

    def rehearsing(self, item: pytest.Item) -> AbstractContextManager[None]:
        """Around the rehearsals of *item*."""
        return nullcontext()

    def waiting(self, item: pytest.Item) -> AbstractContextManager[None]:
        """Around a pause in the body of *item*'s last run, in which a cause is looked for."""
        return nullcontext()

    def fixed(self, item: pytest.Item) -> bool:
        """Whether the user has said that what *item* draws is to hang on no seed of ours."""
        return False

    def draws(self, config: pytest.Config) -> bool:
        """Whether it makes a report that what differs can be drawn in."""
        return False

    def reported(self, report: pytest.TestReport, row: Mapping[str, Any]) -> None:
        """Hangs on the last report of a test what *row*, the JSON report's, tells of it."""


@cache
def _known() -> tuple[Peer, ...]:
    return tuple(load(__name__, name).peer for name in catalogue(__name__))


def _awake() -> list[Peer]:
    return [peer for peer in _known() if peer.module in sys.modules]


def worker(config: pytest.Config) -> dict[str, object]:
    """What the awake peers need in a companion's ``workerinput``."""
    return {name: value for peer in _awake() for name, value in peer.worker(config).items()}


def fixed(item: pytest.Item) -> bool:
    """Whether a peer knows that *item* draws the same from every seed, by its author's word."""
    return any(peer.fixed(item) for peer in _awake())


def draws(config: pytest.Config) -> bool:
    """Whether an awake peer makes a report to draw in."""
    return any(peer.draws(config) for peer in _awake())


def reported(report: pytest.TestReport, row: Mapping[str, Any]) -> None:
    """Tells the awake peers of a test that is done."""
    for peer in _awake():
        peer.reported(report, row)


@contextmanager
def acting(item: pytest.Item, plan: Plan) -> Iterator[None]:
    """What the awake peers need around all runs of *item*."""
    with ExitStack() as stack:
        for peer in _awake():
            stack.enter_context(peer.acting(item, plan))
        yield


@contextmanager
def waiting(item: pytest.Item) -> Iterator[None]:
    """What the awake peers need around a pause in the body of *item*."""
    with ExitStack() as stack:
        for peer in _awake():
            stack.enter_context(peer.waiting(item))
        yield


@contextmanager
def rehearsing(item: pytest.Item) -> Iterator[None]:
    """What the awake peers need around the rehearsals of *item*."""
    with ExitStack() as stack:
        for peer in _awake():
            stack.enter_context(peer.rehearsing(item))
        yield
