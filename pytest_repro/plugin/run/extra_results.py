"""Results of the runs of a test that are not compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_repro.core.runs.run import Outcome

if TYPE_CHECKING:
    from pytest_repro.engine.sweep.sweep import SweepResult


@dataclass(slots=True)
class ExtraResults:
    """Of one test.

    Attributes:
        by_kind: What each kind of extra runs shows, by its name.
        budgets: Rules for recorded numbers over the seeds of a sweep, by name.
        error: Traceback of what broke while extra runs were made.
        reference_outcome: Outcome of the reference run.
        generators_used: Whether a test drew from a global generator, where that is tracked.
        seed_check_note: What the session's summary says of the seed check.
    """

    by_kind: dict[str, object] = field(default_factory=dict)
    budgets: dict[str, dict[str, float]] = field(default_factory=dict)
    error: str = ""
    reference_outcome: Outcome = "passed"
    generators_used: bool = False
    seed_check_note: str = ""

    @property
    def sweep(self) -> SweepResult | None:
        """The result of the seed sweep."""
        return self.by_kind.get("sweep")  # type: ignore[return-value]

    def add_budget(self, name: str, rules: dict[str, float]) -> None:
        """Adds *rules* for the recorded number *name*.

        Raises:
            ValueError: A rule had another number before, in this run or with another seed.
        """
        known = self.budgets.setdefault(name, {})
        for rule, limit in rules.items():
            if known.setdefault(rule, limit) != limit:
                conflict = f"{rule}={known[rule]:g} first and {rule}={limit:g} now"
                raise ValueError(f"repro.budget({name!r}): {conflict}: one number holds for all seeds")
