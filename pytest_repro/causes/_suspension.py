"""Suspends suspects, and collects what could not be suspended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from pytest_repro.causes import Cause, get_cause


def split_suspect(suspect: str) -> tuple[Cause, str]:
    """The cause and the variant that *suspect* names: ``"nondeterministic-op:threads"``.

    Raises:
        KeyError: There is no such cause.
    """
    name, _, variant = suspect.partition(":")
    return get_cause(name), variant


@contextmanager
def suspended(suspects: Sequence[str], seed: int) -> Iterator[None]:
    """Keeps all *suspects* from making runs differ, for a block.

    Args:
        suspects: Cause words, with a variant or without.
        seed: Of the run, 0 … 2**32 - 1.
    """
    with ExitStack() as stack:
        for cause, variant in map(split_suspect, suspects):
            stack.enter_context(cause.suspend(seed, variant or cause.variants[0]))
        yield


_collectors: list[dict[str, str]] = []


def report_not_suspended(cause: str, reason: str) -> None:
    """Records that *cause* may have made runs differ although it is suspended.

    Args:
        cause: The cause word.
        reason: Why, as a sentence without a full stop.
    """
    for collector in _collectors:
        collector.setdefault(cause, reason)


@contextmanager
def collect_not_suspended() -> Iterator[dict[str, str]]:
    """Cause word → the first reason reported during the block."""
    reasons: dict[str, str] = {}
    _collectors.append(reasons)
    try:
        yield reasons
    finally:
        _collectors[:] = [collector for collector in _collectors if collector is not reasons]
