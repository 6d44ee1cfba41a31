"""Texts about the seed check: a seed that changes nothing, an outcome that depends on it."""

from __future__ import annotations

from pytest_repro.core.runs.run import SeedCheck

UNUSED_NOTE = "does not depend on the seed: cached?"

_OUTCOME_VERBS = {"passed": "passes", "failed": "fails", "skipped": "is skipped"}


def describe_outcome(seed_check: SeedCheck) -> str:
    """``fails with seed 1: AssertionError: …``; ``""`` if the outcome is the same."""
    run, reference = seed_check.run, seed_check.reference
    if (run.outcome, run.error_type) == (reference.outcome, reference.error_type):
        return ""
    why = f": {run.error}" if run.error else ""
    return f"{_OUTCOME_VERBS[run.outcome]} with seed {seed_check.seed}{why}"


def format_unused_warning(seed_check: SeedCheck, seed: int) -> str:
    """The warning that the seed changes nothing; *seed* is that of the other runs."""
    same = f"{UNUSED_NOTE} Seeds {seed} and {seed_check.seed} give equal results, bit for bit"
    if seed_check.drew_random:
        return (
            f"{same}, although random numbers were drawn. Look for a cache or a file that an earlier run or "
            "a wider fixture keeps, for a generator with its own seed, or record a value that depends on them"
        )
    return (
        f"{same}, and no seeded generator was used. Draw from repro.rng(), or if nothing is meant to be "
        "random: @pytest.mark.filterwarnings('ignore::pytest_repro.SeedUnusedWarning')"
    )


def format_interference_note(seed_check: SeedCheck) -> str:
    """That the seed check, which ran before the last run, may have caused a difference."""
    return (
        f"the seed check ran with seed {seed_check.seed} before the last run: -o repro_control=false shows "
        "whether state that it left behind made the difference"
    )
