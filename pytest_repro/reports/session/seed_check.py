"""What is said of a control run: of a seed that changes nothing, of an outcome that hangs on it."""

from __future__ import annotations

from pytest_repro.core.runs.run_summary import SeedCheck

UNUSED_NOTE = "does not depend on the seed: cached?"

_OUTCOME_VERBS = {"passed": "passes", "failed": "fails", "skipped": "is skipped"}


def describe_outcome(seed_check: SeedCheck) -> str:
    """``fails with seed 1: AssertionError: …``; ``""`` where the outcome is the same."""
    run, reference = seed_check.run, seed_check.reference
    if (run.outcome, run.error_type) == (reference.outcome, reference.error_type):
        return ""
    why = f": {run.error}" if run.error else ""
    return f"{_OUTCOME_VERBS[run.outcome]} with seed {seed_check.seed}{why}"


def format_unused_warning(seed_check: SeedCheck, seed: int) -> str:
    """The whole warning about a seed that changes nothing, and what to do.

    Args:
        seed_check: Its word is ``unchanged``.
        seed: Of the other runs.
    """
    same = f"{UNUSED_NOTE} Seeds {seed} and {seed_check.seed} give the same, bit for bit"
    if seed_check.drew_random:
        return (
            f"{same}, though random numbers are drawn. Look for what an earlier run or a wider fixture "
            "keeps (a cache, a file), for a generator with a seed of its own, or record what depends on them"
        )
    return (
        f"{same}, and no generator was asked that is seeded. Draw with repro.rng(), or where nothing "
        "is meant to be random: @pytest.mark.filterwarnings('ignore::pytest_repro.SeedUnusedWarning')"
    )


def format_interference_note(seed_check: SeedCheck) -> str:
    """What may have had a part in a difference: the control run came before the last one."""
    return (
        f"a run with seed {seed_check.seed} came before the last one (repro_control): "
        "-o repro_control=false tells whether what it left behind has made the difference"
    )
