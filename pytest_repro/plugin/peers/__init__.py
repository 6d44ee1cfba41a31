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
from pytest_repro.core.plugins import find_plugins, load_plugin


class Peer:
    """What one other plugin needs. Every method may be left as it is."""

    #: The module that must have been imported for this peer to matter.
    module = ""

    def get_workerinput(self, config: pytest.Config) -> Mapping[str, object]:
        """What a companion's ``workerinput`` must hold for it, plain data."""
        return {}

    def wrap_runs(self, item: pytest.Item, plan: Plan) -> AbstractContextManager[None]:
        """Around all runs of *item*."""
        return nullcontext()

    def wrap_rehearsals(self, item: pytest.Item) -> AbstractContextManager[None]:
        """Around the rehearsals of *item*."""
        return nullcontext()

    def wrap_pause(self, item: pytest.Item) -> AbstractContextManager[None]:
        """Around a pause in the body of *item*'s last run, in which a cause is looked for."""
        return nullcontext()

    def has_own_seed(self, item: pytest.Item) -> bool:
        """Whether the user has said that what *item* draws is to hang on no seed of ours."""
        return False

    def can_show_plots(self, config: pytest.Config) -> bool:
        """Whether it makes a report that what differs can be drawn in."""
        return False

    def extend_report(self, report: pytest.TestReport, row: Mapping[str, Any]) -> None:
        """Hangs on the last report of a test what *row*, the JSON report's, tells of it."""


@cache
def _load_peers() -> tuple[Peer, ...]:
    return tuple(load_plugin(__name__, name).peer for name in find_plugins(__name__))


def _get_active_peers() -> list[Peer]:
    return [peer for peer in _load_peers() if peer.module in sys.modules]


def get_workerinput(config: pytest.Config) -> dict[str, object]:
    """What the awake peers need in a companion's ``workerinput``."""
    return {
        name: value for peer in _get_active_peers() for name, value in peer.get_workerinput(config).items()
    }


def has_own_seed(item: pytest.Item) -> bool:
    """Whether a peer knows that *item* draws the same from every seed, by its author's word."""
    return any(peer.has_own_seed(item) for peer in _get_active_peers())


def can_show_plots(config: pytest.Config) -> bool:
    """Whether an awake peer makes a report to draw in."""
    return any(peer.can_show_plots(config) for peer in _get_active_peers())


def extend_report(report: pytest.TestReport, row: Mapping[str, Any]) -> None:
    """Tells the awake peers of a test that is done."""
    for peer in _get_active_peers():
        peer.extend_report(report, row)


@contextmanager
def wrap_runs(item: pytest.Item, plan: Plan) -> Iterator[None]:
    """What the awake peers need around all runs of *item*."""
    with ExitStack() as stack:
        for peer in _get_active_peers():
            stack.enter_context(peer.wrap_runs(item, plan))
        yield


@contextmanager
def wrap_pause(item: pytest.Item) -> Iterator[None]:
    """What the awake peers need around a pause in the body of *item*."""
    with ExitStack() as stack:
        for peer in _get_active_peers():
            stack.enter_context(peer.wrap_pause(item))
        yield


@contextmanager
def wrap_rehearsals(item: pytest.Item) -> Iterator[None]:
    """What the awake peers need around the rehearsals of *item*."""
    with ExitStack() as stack:
        for peer in _get_active_peers():
            stack.enter_context(peer.wrap_rehearsals(item))
        yield
