"""A session in each process that torchrun has started: all of them run the same tests in lockstep."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import zip_longest

import pytest

from pytest_repro.companions.companion import InterpreterLost
from pytest_repro.companions.launched_ranks import LaunchedRanks
from pytest_repro.core.plan.plan import Plan
from pytest_repro.plugin.stash import LAUNCHED, LAUNCHED_RANKS, PLAN, SETTINGS


def join_session(session: pytest.Session) -> None:
    """Connects this rank with the others, and checks that all have planned the same.

    Raises:
        pytest.UsageError: An option or a marker is not available, a rank did not connect, or has collected
            other tests.
    """
    config = session.config
    rank, size = config.stash[LAUNCHED]
    refusals = [*_list_refused_options(config), *_adapt_plans(session.items, rank, size)]
    if refusals:
        raise pytest.UsageError("\n".join(dict.fromkeys(refusals)))
    try:
        ranks = LaunchedRanks(rank, size, config.stash[SETTINGS].companion_timeout)
        config.add_cleanup(ranks.close)
        _compare_tests(ranks, [_describe_test(item) for item in session.items if PLAN in item.stash])
    except InterpreterLost as lost:
        raise pytest.UsageError(f"torchrun: {lost}") from None
    config.stash[LAUNCHED_RANKS] = ranks
    stack = ExitStack()
    stack.enter_context(ranks.patch_rendezvous())
    config.add_cleanup(stack.close)
    if rank == 0:
        stack.enter_context(_end_orderly(session))


@contextmanager
def _end_orderly(session: pytest.Session) -> Iterator[None]:
    """Lets rank 0 end the test and write its reports when torchrun ends it, since another rank has died.

    torchrun sends SIGTERM, and kills what is left after 30 s.
    """

    def stop(*_: object) -> None:
        session.shouldstop = "torchrun ends this rank, since another one has failed"

    before = signal.getsignal(signal.SIGTERM)
    if before is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _list_refused_options(config: pytest.Config) -> Iterator[str]:
    settings = config.stash[SETTINGS]
    if settings.is_seed_random:
        yield "--repro-seed=random: not under torchrun, where each rank would draw its own: give a number"
    if settings.replay is not None:
        yield "--repro-replay: not under torchrun"
    if config.getoption("numprocesses", None):
        yield "-n: not under torchrun, whose processes run the same tests together: leave pytest-xdist out"


def _adapt_plans(items: Sequence[pytest.Item], rank: int, size: int) -> Iterator[str]:
    """Makes the launched processes the ranks of each plan; yields what cannot be done there."""
    for item in items:
        plan = item.stash.get(PLAN, None)
        if plan is None:
            continue
        sizes = next((each.values for each in plan.vary if each.axis == "ranks"), plan.ranks)
        if sizes not in (0, size):
            yield f"{item.nodeid}: ranks={sizes}: torchrun has started {size}"
        for axis in plan.vary:
            if axis.remote and len(axis.values) == 1:
                value = f"{axis.axis}={axis.values[0]!r}"
                yield f"{item.nodeid}: {value}: needs another interpreter, which torchrun does not start"
        # Rank 0 alone has the values of all ranks, which golden files hold.
        item.stash[PLAN] = plan._replace(ranks=size, baseline=plan.baseline and rank == 0)


def _describe_test(item: pytest.Item) -> str:
    """The node id, and a digest of all that the plan asks for."""
    plan: Plan = item.stash[PLAN]._replace(baseline=False)
    return f"{item.nodeid} {hashlib.sha256(repr(plan).encode()).hexdigest()[:16]}"


def _compare_tests(ranks: LaunchedRanks, tests: list[str]) -> None:
    """Raises InterpreterLost, in all ranks, if they have planned other tests, or in another order."""
    if ranks.rank:
        ranks.send(0, ("tests", tests))
        ranks.receive(0, "while tests were collected")
        return
    for rank, (_, others) in ranks.collect(("tests", tests), "while tests were collected").items():
        for own, other in zip_longest(tests, others, fillvalue="no test "):
            if own != other:
                here, there = own.rpartition(" ")[0], other.rpartition(" ")[0]
                different = (
                    f"collected {there}, rank 0 {here}: all ranks run the same tests in the same order"
                    if here != there
                    else f"has other options for {here} than rank 0"
                )
                ranks.give_up(f"rank {rank} {different}")
                raise InterpreterLost(ranks.loss)
    ranks.broadcast(("same",))
