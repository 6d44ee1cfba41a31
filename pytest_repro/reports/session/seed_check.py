"""What is said of a control run: of a seed that changes nothing, of an outcome that hangs on it."""

from __future__ import annotations

from pytest_repro.core.runs.seed_check import Control

UNUSED = "does not depend on the seed: cached?"

_VERBS = {"passed": "passes", "failed": "fails", "skipped": "is skipped"}


def outcome(control: Control) -> str:
    """``fails with seed 1: AssertionError: …``; ``""`` where the outcome is the same."""
    run, reference = control.run, control.reference
    if (run.outcome, run.error_type) == (reference.outcome, reference.error_type):
        return ""
    why = f": {run.error}" if run.error else ""
    return f"{_VERBS[run.outcome]} with seed {control.seed}{why}"


def unused(control: Control, seed: int) -> str:
    """The whole warning about a seed that changes nothing, and what to do.

    Args:
        control: Its word is ``unchanged``.
        seed: Of the other runs.
    """
    same = f"{UNUSED} Seeds {seed} and {control.seed} give the same, bit for bit"
    if control.drew:
        return (
            f"{same}, though random numbers are drawn. Look for what an earlier run or a wider fixture "
            "keeps (a cache, a file), for a generator with a seed of its own, or record what depends on them"
        )
    return (
        f"{same}, and no generator was asked that is seeded. Draw with repro.rng(), or where nothing "
        "is meant to be random: @pytest.mark.filterwarnings('ignore::pytest_repro.SeedUnusedWarning')"
    )


def before_the_last(control: Control) -> str:
    """What may have had a part in a difference: the control run came before the last one."""
    return (
        f"a run with seed {control.seed} came before the last one (repro_control): "
        "-o repro_control=false tells whether what it left behind has made the difference"
    )
