"""What a diagnosis of a difference between processes has seen, if it ends before it has a finding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pytest_repro.core.diagnose import ExperimentResult


class Progress(NamedTuple):
    """What a diagnosis has seen that ended early, and where that says to look."""

    seen: str
    look_for: str


_BY_ADDRESS = "an order by id() or by the default hash"
_BY_TEXT = f"the order of a set of strings, hash() of a string, {_BY_ADDRESS}"
_SAME_SEED = "two fresh processes with the same hash seed"

_NOTHING_SEEN = Progress("nothing was tested", _BY_TEXT)
_FORKS_DIFFER = Progress(
    "runs that started in copies of one fresh process differed",
    f"a generator without a seed, the clock, {_BY_ADDRESS}, os.getpid()",
)
_PROCESSES_DIFFER = Progress(
    f"{_SAME_SEED} differed", f"{_BY_ADDRESS}, os.getpid(), os.environ, temporary names"
)
_SAME_SEED_AGREES = Progress(f"{_SAME_SEED} agreed", _BY_TEXT)
_SEEDS_DIFFER = Progress(f"{_SAME_SEED} agreed, one with another hash seed differed", _BY_TEXT)
_SESSION_DIFFERS = Progress(
    f"{_SAME_SEED} agreed, and so did one with another",
    "what earlier tests leave behind: a seeded generator, a global, a cache, a file; and for an order of "
    "few strings, in which hash seeds may agree",
)


def describe_progress(results: Sequence[ExperimentResult]) -> Progress:
    """What *results* show: of two interpreters with one hash seed, and of one with another; or of fewer."""
    if any(not result.equal for result in results):
        return _FORKS_DIFFER
    digests = [result.reference_digest for result in results]
    if len(digests) < 2:
        return _NOTHING_SEEN
    first, second, *others = digests
    if first != second:
        return _PROCESSES_DIFFER
    if not others:
        return _SAME_SEED_AGREES
    return _SESSION_DIFFERS if others[0] == first else _SEEDS_DIFFER
