from __future__ import annotations

import pytest

from pytest_repro.core.plan import BadArgument, Plan, asked
from pytest_repro.core.tolerance import EXACT, Tolerance


def test_what_is_asked_wins_over_what_holds() -> None:
    plan = asked(Plan(runs=4, seed=1), {"seed": 2, "rtol": 1, "atol": 0.5})
    assert plan == Plan(runs=4, seed=2, tolerance=Tolerance(1.0, 0.5))
    assert asked(plan, {"rtol": None, "atol": None}).tolerance == EXACT


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(BadArgument, match="device='cpu': unknown; allowed are runs, seed, capture"):
        asked(Plan(), {"device": "cpu"})
