"""How far apart is too far, by the measures that the field publishes.

Pure functions of numbers: arrays, tensors and lists in, frozen records or numbers out, each formula
with its source. ``print(record)`` gives a line or a small table. Importing this module imports
nothing; numpy comes with the first function that needs it, torch never: tensors are read by what
they can do.

Seeds: :func:`sweep`, :func:`budget`, :func:`failure_rate`, :func:`suggested_bound`. Predictions:
:func:`churn`, :func:`agreement`, :func:`disagreement`, :func:`stability`, :func:`class_spread`,
:func:`subgroup_rates`. Weights: :func:`l2`, :func:`l2_normalised`, :func:`weight_distances`.
Elements: :func:`v_c`, :func:`ermv`. Sequences: :func:`tokens`. Units: :func:`match_neurons`.
Versions: :func:`compare_versions`, :func:`seeds_needed`. Draws: :func:`duplicates`. Time: :func:`cost`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_repro.metrics.bounds import Bound as Bound
    from pytest_repro.metrics.bounds import suggested_bound as suggested_bound
    from pytest_repro.metrics.budgets import Breach as Breach
    from pytest_repro.metrics.budgets import Budget as Budget
    from pytest_repro.metrics.budgets import budget as budget
    from pytest_repro.metrics.completions import Tokens as Tokens
    from pytest_repro.metrics.completions import tokens as tokens
    from pytest_repro.metrics.costs import Cost as Cost
    from pytest_repro.metrics.costs import cost as cost
    from pytest_repro.metrics.duplicate_draws import Duplicates as Duplicates
    from pytest_repro.metrics.duplicate_draws import duplicates as duplicates
    from pytest_repro.metrics.elements import ermv as ermv
    from pytest_repro.metrics.elements import v_c as v_c
    from pytest_repro.metrics.failures import FailureRate as FailureRate
    from pytest_repro.metrics.failures import failure_rate as failure_rate
    from pytest_repro.metrics.groups import Spread as Spread
    from pytest_repro.metrics.groups import Spreads as Spreads
    from pytest_repro.metrics.groups import SubgroupRates as SubgroupRates
    from pytest_repro.metrics.groups import class_spread as class_spread
    from pytest_repro.metrics.groups import subgroup_rates as subgroup_rates
    from pytest_repro.metrics.neurons import Matching as Matching
    from pytest_repro.metrics.neurons import match_neurons as match_neurons
    from pytest_repro.metrics.predictions import ConstantModelWarning as ConstantModelWarning
    from pytest_repro.metrics.predictions import Stability as Stability
    from pytest_repro.metrics.predictions import agreement as agreement
    from pytest_repro.metrics.predictions import churn as churn
    from pytest_repro.metrics.predictions import disagreement as disagreement
    from pytest_repro.metrics.predictions import stability as stability
    from pytest_repro.metrics.seeds import Sweep as Sweep
    from pytest_repro.metrics.seeds import expected_range as expected_range
    from pytest_repro.metrics.seeds import sweep as sweep
    from pytest_repro.metrics.versions import Comparison as Comparison
    from pytest_repro.metrics.versions import compare_versions as compare_versions
    from pytest_repro.metrics.versions import seeds_needed as seeds_needed
    from pytest_repro.metrics.weights import WeightDistances as WeightDistances
    from pytest_repro.metrics.weights import l2 as l2
    from pytest_repro.metrics.weights import l2_normalised as l2_normalised
    from pytest_repro.metrics.weights import weight_distances as weight_distances

# No module is named as a function of its own: importing it would put it in the function's place.
_WHERE = {
    name: module
    for module, names in {
        "bounds": "Bound suggested_bound",
        "budgets": "Breach Budget budget",
        "completions": "Tokens tokens",
        "costs": "Cost cost",
        "elements": "ermv v_c",
        "failures": "FailureRate failure_rate",
        "groups": "Spread Spreads SubgroupRates class_spread subgroup_rates",
        "neurons": "Matching match_neurons",
        "predictions": "ConstantModelWarning Stability agreement churn disagreement stability",
        "duplicate_draws": "Duplicates duplicates",
        "seeds": "Sweep expected_range sweep",
        "versions": "Comparison compare_versions seeds_needed",
        "weights": "WeightDistances l2 l2_normalised weight_distances",
    }.items()
    for name in names.split()
}

__all__ = [
    "Bound", "Breach", "Budget", "Comparison", "ConstantModelWarning", "Cost", "Duplicates", "FailureRate",
    "Matching", "Spread", "Spreads", "Stability", "SubgroupRates", "Sweep", "Tokens", "WeightDistances",
    "agreement", "budget", "churn", "class_spread", "compare_versions", "cost", "disagreement", "duplicates",
    "ermv", "expected_range", "failure_rate", "l2", "l2_normalised", "match_neurons", "seeds_needed",
    "stability", "subgroup_rates", "suggested_bound", "sweep", "tokens", "v_c", "weight_distances",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first asked for: a seed sweep needs no numpy."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
