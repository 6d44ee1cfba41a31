"""Published measures of how far runs are apart.

Pure functions: arrays, tensors and lists in, frozen records or numbers out, each formula with its
source. ``print(record)`` gives a line or a small table. Importing this package imports neither numpy nor
torch: numpy comes with the first function that needs it, and tensors are read without torch.

Seeds: :func:`sweep`, :func:`budget`, :func:`failure_rate`, :func:`suggested_bound`. Predictions:
:func:`churn`, :func:`agreement`, :func:`disagreement`, :func:`stability`, :func:`class_spread`,
:func:`subgroup_rates`. Weights: :func:`l2`, :func:`l2_normalised`, :func:`weight_distances`.
Elements: :func:`v_c`, :func:`ermv`. Sequences: :func:`tokens`. Units: :func:`match_neurons`.
Versions: :func:`compare_versions`, :func:`seeds_needed`. Sweeps: :func:`compare_sweeps`,
:func:`seeds_to_detect`. Draws: :func:`duplicates`. Time: :func:`cost`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_repro.core.compare.sweep_comparison import SweepComparison
    from pytest_repro.metrics.completions import Tokens, tokens
    from pytest_repro.metrics.costs import Cost, cost
    from pytest_repro.metrics.distances import WeightDistances, ermv, l2, l2_normalised, v_c, weight_distances
    from pytest_repro.metrics.duplicate_draws import Duplicates, duplicates
    from pytest_repro.metrics.failures import Bound, FailureRate, failure_rate, suggested_bound
    from pytest_repro.metrics.groups import Spread, Spreads, SubgroupRates, class_spread, subgroup_rates
    from pytest_repro.metrics.neurons import Matching, match_neurons
    from pytest_repro.metrics.predictions import (
        ConstantModelWarning,
        Stability,
        agreement,
        churn,
        disagreement,
        stability,
    )
    from pytest_repro.metrics.seeds import Breach, Budget, Sweep, budget, expected_range, sweep
    from pytest_repro.metrics.sweeps.comparison import compare_sweeps, seeds_to_detect
    from pytest_repro.metrics.versions import Comparison, compare_versions, seeds_needed

# No module has the name of a function: importing it would replace the function.
_MODULES = {
    name: module
    for module, names in {
        "completions": "Tokens tokens",
        "costs": "Cost cost",
        "distances": "WeightDistances ermv l2 l2_normalised v_c weight_distances",
        "failures": "Bound FailureRate failure_rate suggested_bound",
        "groups": "Spread Spreads SubgroupRates class_spread subgroup_rates",
        "neurons": "Matching match_neurons",
        "predictions": "ConstantModelWarning Stability agreement churn disagreement stability",
        "duplicate_draws": "Duplicates duplicates",
        "seeds": "Breach Budget Sweep budget expected_range sweep",
        "sweeps.comparison": "SweepComparison compare_sweeps seeds_to_detect",
        "versions": "Comparison compare_versions seeds_needed",
    }.items()
    for name in names.split()
}

__all__ = [
    "Bound", "Breach", "Budget", "Comparison", "ConstantModelWarning", "Cost", "Duplicates", "FailureRate",
    "Matching", "Spread", "Spreads", "Stability", "SubgroupRates", "Sweep", "SweepComparison", "Tokens",
    "WeightDistances", "agreement", "budget", "churn", "class_spread", "compare_sweeps", "compare_versions",
    "cost", "disagreement", "duplicates", "ermv", "expected_range", "failure_rate", "l2", "l2_normalised",
    "match_neurons", "seeds_needed", "seeds_to_detect", "stability", "subgroup_rates", "suggested_bound",
    "sweep", "tokens", "v_c", "weight_distances",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Loads a public name on first use: a seed sweep needs no numpy."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
