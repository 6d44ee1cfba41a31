"""Other plugins whose fixtures keep counts over a session: one file each, with the plugin's import name.

A file is loaded once its plugin has been imported. Most plugins need nothing: a rehearsal reports to
nobody. These would see it all the same, or make runs differ that must be equal.
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
    """What one other plugin needs. Every method is optional."""

    #: The module that must have been imported too, where it is not the one that the file is named after.
    module = ""

    def get_workerinput(self, config: pytest.Config) -> Mapping[str, object]:
        """What a companion's ``workerinput`` must hold for the plugin, as plain data."""
        return {}

    def wrap_runs(self, item: pytest.Item, plan: Plan) -> AbstractContextManager[None]:
        """Wraps all runs of *item*."""
        return nullcontext()

    def wrap_rehearsals(self, item: pytest.Item) -> AbstractContextManager[None]:
        """Wraps the rehearsals of *item*."""
        return nullcontext()

    def wrap_pause(self, item: pytest.Item) -> AbstractContextManager[None]:
        """Wraps a pause in the body of *item*'s last run, during a diagnosis."""
        return nullcontext()

    def has_own_seed(self, item: pytest.Item) -> bool:
        """Whether the user chose the seed of *item*, so that it depends on none of ours."""
        return False

    def can_show_plots(self, config: pytest.Config) -> bool:
        """Whether the plugin writes a report that can show plots."""
        return False

    def extend_report(self, report: pytest.TestReport, row: Mapping[str, Any]) -> None:
        """Adds *row*, of the JSON report, to the last report of a test."""


@cache
def _load_peer(name: str) -> Peer:
    peer = load_plugin(__name__, name).peer
    assert isinstance(peer, Peer)
    return peer


def _get_active_peers() -> list[Peer]:
    imported = [_load_peer(name) for name in find_plugins(__name__) if name in sys.modules]
    return [peer for peer in imported if not peer.module or peer.module in sys.modules]


def get_workerinput(config: pytest.Config) -> dict[str, object]:
    """What active peers need in a companion's ``workerinput``."""
    return {
        name: value for peer in _get_active_peers() for name, value in peer.get_workerinput(config).items()
    }


def has_own_seed(item: pytest.Item) -> bool:
    """Whether the user chose the seed of *item* through a peer."""
    return any(peer.has_own_seed(item) for peer in _get_active_peers())


def can_show_plots(config: pytest.Config) -> bool:
    """Whether an active peer writes a report that can show plots."""
    return any(peer.can_show_plots(config) for peer in _get_active_peers())


def extend_report(report: pytest.TestReport, row: Mapping[str, Any]) -> None:
    """Has active peers extend the last report of a test."""
    for peer in _get_active_peers():
        peer.extend_report(report, row)


def wrap_runs(item: pytest.Item, plan: Plan) -> AbstractContextManager[None]:
    """Wraps all runs of *item*, as active peers need it."""
    return _nest([peer.wrap_runs(item, plan) for peer in _get_active_peers()])


def wrap_pause(item: pytest.Item) -> AbstractContextManager[None]:
    """Wraps a pause in the body of *item*, as active peers need it."""
    return _nest([peer.wrap_pause(item) for peer in _get_active_peers()])


def wrap_rehearsals(item: pytest.Item) -> AbstractContextManager[None]:
    """Wraps the rehearsals of *item*, as active peers need it."""
    return _nest([peer.wrap_rehearsals(item) for peer in _get_active_peers()])


def _nest(contexts: list[AbstractContextManager[None]]) -> AbstractContextManager[None]:
    return _enter_all(contexts) if contexts else nullcontext()


@contextmanager
def _enter_all(contexts: list[AbstractContextManager[None]]) -> Iterator[None]:
    with ExitStack() as stack:
        for context in contexts:
            stack.enter_context(context)
        yield
