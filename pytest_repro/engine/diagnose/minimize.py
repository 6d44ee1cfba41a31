"""Of what was held, or seen to be left behind, what it was that made the difference; and what came first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.experiment import Experiment, Tried
from pytest_repro.core.diagnose.finding import Change
from pytest_repro.core.trace.divergence import Divergence
from pytest_repro.engine.diagnose.budgeted_experiments import Untried
from pytest_repro.engine.diagnose.suspects import word

SHARED = "shared-state"

MOST = 8
"""Lines, or changes, that are tried one at a time."""

Try = Callable[[Experiment, str], Tried]
"""Makes an experiment; is given what it is for."""


def telling_calls(evidence: Evidence, ways: Sequence[str], asked: Experiment, try_: Try) -> Evidence:
    """*evidence* without the calls that make no difference: what one line alone draws is set free.

    Args:
        evidence: What was known before.
        ways: Held together they make runs equal.
        asked: The experiment that has shown this.
        try_: Makes experiments.
    """

    def differs(lines: Sequence[str]) -> bool:
        what = lines[0].rpartition("/")[2] if len(lines) == 1 else f"{len(lines)} lines"
        return not try_(asked._replace(spared=tuple(lines)), f"held, but for {what}").equal

    calls = evidence.calls
    with suppress(Untried):
        for name in dict.fromkeys(map(word, ways)):
            lines = list(dict.fromkeys(call.location for call in evidence.of(name)))
            if len(lines) > 1:
                lines = [each for each in _few(lines, differs) if differs([each])]
                calls = tuple(
                    call for call in calls if call.cause != name or call.location in lines or not lines
                )
    return replace(evidence, calls=calls)


def _few(lines: list[str], differs: Callable[[Sequence[str]], bool]) -> list[str]:
    """As few of *lines* as can be tried one at a time: a half that makes a difference, and again."""
    while len(lines) > MOST:
        middle = len(lines) // 2
        lines = lines[:middle] if differs(lines[:middle]) else lines[middle:]
    return lines


def telling_changes(evidence: Evidence, asked: Experiment, try_: Try) -> Evidence | None:
    """*evidence* with the changes alone that make the difference: the others are put back in vain.

    Args:
        evidence: What was seen to be left behind, among it.
        asked: Runs that differ for what was left behind.
        try_: Makes experiments.

    Returns:
        None where all that was seen to be left behind was put back, and runs differed all the same.
    """

    def tried(changed: Sequence[Change]) -> Tried:
        what = changed[0].name if len(changed) == 1 else f"{len(changed)} changes"
        return try_(asked._replace(restored=tuple(each.name for each in changed)), f"{what} put back")

    changed = evidence.changed
    try:
        all_of_them = tried(changed)
        if not all_of_them.equal:
            beyond = [each for each in changed if each.name not in all_of_them.restored]
            others = [each for each in changed if each not in beyond]
            return replace(evidence, changed=(*beyond, *others)) if beyond else None
        for each in changed[::-1] if len(changed) <= MOST else ():
            rest = tuple(other for other in changed if other is not each)
            if rest and tried(rest).equal:
                changed = rest
    except Untried:
        return evidence
    calls = tuple(call for call in evidence.calls if call.cause != SHARED)
    return replace(evidence, changed=changed, calls=calls)


def fewest(ways: list[str], equal: Callable[[list[str]], bool]) -> list[str]:
    """As few of *ways* as suffice to make runs equal, those that come last left out first."""
    for way in list(reversed(ways)):
        rest = [each for each in ways if each != way]
        if rest and equal(rest):
            ways = rest
    return ways


def first_to_part(
    ways: Sequence[str], parted: Divergence | None, divergence: Callable[[Sequence[str]], Divergence | None]
) -> list[str]:
    """*ways*, the one first without which the first op that parts is another one.

    Args:
        ways: Each of them makes a difference.
        parted: Where runs part when none of them is held.
        divergence: Where they part when some are.
    """
    if parted is not None:
        with suppress(Untried):
            for way in ways[:MOST]:
                held = [each for each in ways if each not in (way, SHARED)]
                found = divergence(held)
                if found is not None and _place(found) == _place(parted):
                    return [way, *(each for each in ways if each != way)]
    return list(ways)


def _place(found: Divergence) -> tuple[object, ...]:
    return found.index, found.op, found.location
