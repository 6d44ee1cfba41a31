"""Of what was held, or seen to be left behind, what it was that made the difference; and what came first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.experiment import Experiment, ExperimentResult
from pytest_repro.core.diagnose.finding import Change
from pytest_repro.core.trace.divergence import Divergence
from pytest_repro.engine.diagnose.budgeted_experiments import ExperimentFailed
from pytest_repro.engine.diagnose.suspects import get_cause_name

SHARED_STATE = "shared-state"

MAX_SINGLE_TRIES = 8
"""Lines, or changes, that are tried one at a time."""

ExperimentRunner = Callable[[Experiment, str], ExperimentResult]
"""Makes an experiment; is given what it is for."""


def minimize_calls(
    evidence: Evidence, suspects: Sequence[str], experiment: Experiment, run_experiment: ExperimentRunner
) -> Evidence:
    """*evidence* without the calls that make no difference: what one line alone draws is set free.

    Args:
        evidence: What was known before.
        suspects: Held together they make runs equal.
        experiment: The experiment that has shown this.
        run_experiment: Makes experiments.
    """

    def differs(lines: Sequence[str]) -> bool:
        what = lines[0].rpartition("/")[2] if len(lines) == 1 else f"{len(lines)} lines"
        return not run_experiment(
            experiment._replace(passthrough_lines=tuple(lines)), f"held, but for {what}"
        ).equal

    calls = evidence.calls
    with suppress(ExperimentFailed):
        for name in dict.fromkeys(map(get_cause_name, suspects)):
            lines = list(dict.fromkeys(call.location for call in evidence.calls_for(name)))
            if len(lines) > 1:
                lines = [each for each in _bisect_lines(lines, differs) if differs([each])]
                calls = tuple(
                    call for call in calls if call.cause != name or call.location in lines or not lines
                )
    return replace(evidence, calls=calls)


def _bisect_lines(lines: list[str], differs: Callable[[Sequence[str]], bool]) -> list[str]:
    """As few of *lines* as can be tried one at a time: a half that makes a difference, and again."""
    while len(lines) > MAX_SINGLE_TRIES:
        middle = len(lines) // 2
        lines = lines[:middle] if differs(lines[:middle]) else lines[middle:]
    return lines


def minimize_changes(
    evidence: Evidence, experiment: Experiment, run_experiment: ExperimentRunner
) -> Evidence | None:
    """*evidence* with the changes alone that make the difference: the others are put back in vain.

    Args:
        evidence: What was seen to be left behind, among it.
        experiment: Runs that differ for what was left behind.
        run_experiment: Makes experiments.

    Returns:
        None where all that was seen to be left behind was put back, and runs differed all the same.
    """

    def run_restoring(changes: Sequence[Change]) -> ExperimentResult:
        what = changes[0].name if len(changes) == 1 else f"{len(changes)} changes"
        return run_experiment(
            experiment._replace(restored_names=tuple(each.name for each in changes)), f"{what} put back"
        )

    changed = evidence.changes
    try:
        all_of_them = run_restoring(changed)
        if not all_of_them.equal:
            beyond = [each for each in changed if each.name not in all_of_them.restored_names]
            others = [each for each in changed if each not in beyond]
            return replace(evidence, changes=(*beyond, *others)) if beyond else None
        for each in changed[::-1] if len(changed) <= MAX_SINGLE_TRIES else ():
            rest = tuple(other for other in changed if other is not each)
            if rest and run_restoring(rest).equal:
                changed = rest
    except ExperimentFailed:
        return evidence
    calls = tuple(call for call in evidence.calls if call.cause != SHARED_STATE)
    return replace(evidence, changes=changed, calls=calls)


def minimize(suspects: list[str], suffices: Callable[[list[str]], bool]) -> list[str]:
    """As few of *suspects* as suffice to make runs equal, those that come last left out first."""
    for way in list(reversed(suspects)):
        rest = [each for each in suspects if each != way]
        if rest and suffices(rest):
            suspects = rest
    return suspects


def put_earliest_first(
    suspects: Sequence[str],
    original: Divergence | None,
    find_divergence: Callable[[Sequence[str]], Divergence | None],
) -> list[str]:
    """*suspects*, the one first without which the first op that parts is another one.

    Args:
        suspects: Each of them makes a difference.
        original: Where runs part when none of them is held.
        find_divergence: Where they part when some are.
    """
    if original is not None:
        with suppress(ExperimentFailed):
            for way in suspects[:MAX_SINGLE_TRIES]:
                held = [each for each in suspects if each not in (way, SHARED_STATE)]
                found = find_divergence(held)
                if found is not None and _divergence_key(found) == _divergence_key(original):
                    return [way, *(each for each in suspects if each != way)]
    return list(suspects)


def _divergence_key(divergence: Divergence) -> tuple[object, ...]:
    return divergence.index, divergence.op, divergence.location
