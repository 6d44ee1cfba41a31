from __future__ import annotations

from pytest_repro.core.plan.arguments import override_plan
from pytest_repro.core.plan.plan import Plan, Tolerance


def test_what_is_asked_wins_over_what_holds() -> None:
    plan = override_plan(Plan(runs=4, seed=1), {"seed": 2, "rtol": 1, "atol": 0.5})
    assert plan == Plan(runs=4, seed=2, tolerance=Tolerance(1.0, 0.5))
    assert override_plan(plan, {"rtol": None, "atol": None}).tolerance is None
