"""The seed sweep of a test: its failure text, its lines in the section, its key of the report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from pytest_repro.core.compare.verdict import Baseline
from pytest_repro.core.text import quote_word
from pytest_repro.engine.sweep.sweep import SweepResult
from pytest_repro.metrics._arguments import format_list, format_percent, format_seeds
from pytest_repro.metrics.failures import Bound, suggested_bound
from pytest_repro.metrics.seeds import Budget, Sweep
from pytest_repro.reports.failure.golden import format_sweep_comparisons

if TYPE_CHECKING:
    from pytest_repro.metrics.predictions import Stability

_MAX_NAMES = 8  # names, and errors, shown in the terminal; the JSON report has all

_MIN_SEEDS_FOR_BOUND = 5
"""Fewer seeds suggest no bound: a normal's tolerance limit is 4.2 std away for 5 seeds, 7.7 for 3."""


def format_headline(result: SweepResult) -> str:
    """``1 of 20 seeds failed: 7; over budget: accuracy``."""
    failed = ""
    if (rate := result.failure_rate) is not None and rate.failed:
        failed = f"{rate.failed} of {rate.n} seeds failed: {format_list(rate.seeds)}"
    return _add_exceeded_budgets(failed, result)


def _add_exceeded_budgets(text: str, result: SweepResult) -> str:
    over = f"over budget: {format_list(result.exceeded_budgets)}" if result.exceeded_budgets else ""
    return "; ".join(filter(None, (text, over)))


def format_failure(
    nodeid: str, result: SweepResult, expected_seed: int | None = None, options: str = ""
) -> str:
    """The failure text of a test that fails its sweep; with *expected_seed* it was expected to fail.

    *options* of the replay line each follow a space.
    """
    replay = f"pytest {quote_word(nodeid)} {_format_replay_options(result, expected_seed)}{options}"
    lines = [f"{nodeid} does not hold for every seed", "", *(f"  {line}" for line in format_sweep(result))]
    return "\n".join([*lines, f"  {'replay':10} {replay}"])


def _format_replay_options(result: SweepResult, expected_seed: int | None) -> str:
    """Options that show the failure again: one seed that fails; all seeds for an exceeded budget."""
    if (rate := result.failure_rate) is not None and rate.failed:
        expected = {run.seed for run in result.runs if run.xfail_reason is not None} | {expected_seed}
        seed = next((seed for seed in rate.seeds if seed not in expected), rate.seeds[0])
        return f"--repro-seed={seed} --repro-seeds=0"
    return format_seeds_option(result.requested_seeds)


def format_seeds_option(seeds: Sequence[int]) -> str:
    """``--repro-seeds=0-19``, ``--repro-seeds=1,4,9``."""
    ordered = sorted(seeds)
    if ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"--repro-seeds={ordered[0]}-{ordered[-1]}"
    return f"--repro-seeds={','.join(map(str, ordered))}"


def format_sweep(result: SweepResult) -> Iterator[str]:
    """How often the test fails, then its budgets, headline values and predictions, a line each."""
    yield f"{'seeds':10} {_format_failure_rate(result)}"
    errors = _group_by_error(result)
    for (error, place), seeds in islice(errors.items(), _MAX_NAMES):
        yield f"{format_seeds(seeds):10} {error}{place and f'   {place}'}"
    for name, budget in result.budgets.items():
        text = budget if isinstance(budget, str) else "; ".join(map(str, budget.breaches)) or "kept"
        yield f"{'budget':10} {name}: {text}"
    for name, sweep in islice(result.headlines.items(), _MAX_NAMES):
        yield f"{name:10} {sweep}"
        if bounds := _suggest_bounds(sweep):
            yield f"{'':10} {_format_bounds(name, *bounds)}"
    for name, stability in islice(result.stability.items(), _MAX_NAMES):
        yield f"{name:10} {_format_stability(stability, result.get_seeds(stability.pair))}"
    for name, (few, many) in islice(result.uneven_sizes.items(), _MAX_NAMES):
        yield f"{name:10} {few} to {many} items: the number depends on the seed, so there is no churn"
    for name, bad in islice(result.nonfinite_seeds.items(), _MAX_NAMES):
        yield f"{name:10} not finite: {format_seeds(bad)}"
    groups = (errors, result.headlines, result.stability, result.uneven_sizes, result.nonfinite_seeds)
    if omitted := sum(max(0, len(group) - _MAX_NAMES) for group in groups):
        yield f"{'':10} and {omitted} more, in the JSON report"
    yield from (f"{'constant':10} {text}" for text in format_constant_predictions(result))


def _group_by_error(result: SweepResult) -> dict[tuple[str, str], list[int]]:
    """The seeds that failed, by error and location."""
    groups: dict[tuple[str, str], list[int]] = {}
    for run in result.runs:
        if run.outcome == "failed":
            groups.setdefault((run.error or "failed", run.location), []).append(run.seed)
    return groups


def _list_seeds(result: SweepResult, outcome: str) -> list[int]:
    return [run.seed for run in result.runs if run.outcome == outcome]


def _format_failure_rate(result: SweepResult) -> str:
    """``1 of 20 failed: seed 7; P(fail) 5 %, up to 21.6 % (95 % confidence)``."""
    parts = [str(result.failure_rate)] if result.failure_rate is not None else []
    for outcome in ("skipped", "xfailed"):
        if seeds := _list_seeds(result, outcome):
            parts.append(f"{outcome}: {format_seeds(seeds)}")
    if missing := len(result.requested_seeds) - len(result.runs):
        parts.append(f"{missing} not run, the session ended")
    return "; ".join(parts)


def _suggest_bounds(sweep: Sweep) -> tuple[Bound, Bound] | None:
    """Bounds for values that vary and are all finite."""
    if not sweep.std or not math.isfinite(sweep.std) or sweep.not_finite or sweep.n < _MIN_SEEDS_FOR_BOUND:
        return None
    values = dict(sweep.values)
    return suggested_bound(values, "lower"), suggested_bound(values, "upper")


def _format_bounds(name: str, lower: Bound, upper: Bound) -> str:
    normal = (
        "" if lower.method == "order" else f", if normal; without that, {lower.seeds_needed} seeds are needed"
    )
    return (
        f"suggested: {name} >= {lower.bound:.4g}, or <= {upper.bound:.4g}, fails for at most "
        f"{format_percent(lower.fails)} of seeds ({format_percent(lower.confidence)} confidence{normal})"
    )


def _format_stability(stability: Stability, seed_pair: Sequence[int]) -> str:
    """How far predictions agree; *seed_pair* are the two seeds that agree least."""
    text = f"churn {format_percent(stability.churn)}, {stability.runs} seeds × {stability.items} items"
    if stability.churn:
        pair = f"between seeds {seed_pair[0]} and {seed_pair[1]}"
        text += f", largest {format_percent(stability.largest)} {pair}"
    return f"{text}, all agree on {format_percent(stability.unanimous)}"


def format_constant_predictions(result: SweepResult) -> Iterator[str]:
    """A line for each prediction that is the same for every item with some seed."""
    for name, stability in result.stability.items():
        if stability.constant and not name.startswith("locals."):  # a local may be a mask, not a prediction
            yield describe_constant(name, format_seeds(result.get_seeds(stability.constant)))


def describe_constant(name: str, condition: str) -> str:
    """``labels is the same for every item with seed 3: stable, but collapsed``."""
    return f"{name} is the same for every item with {condition}: stable, but collapsed"


def sweep_to_row(result: SweepResult, baseline: Baseline | None = None) -> dict[str, Any]:
    """``sweep`` and its note for the section, with what *baseline* says of a test that agrees with it."""
    row: dict[str, Any] = {"seeds": [run.seed for run in result.runs], "kept": not result.failed}
    row |= {outcome: _list_seeds(result, outcome) for outcome in ("failed", "skipped")}
    if xfailed := _list_seeds(result, "xfailed"):
        row["xfailed"] = xfailed
    if (rate := result.failure_rate) is not None:
        row |= {"p_fail": rate.rate, "p_fail_upper": rate.upper, "confidence": rate.confidence}
    row["errors"] = {str(run.seed): run.error for run in result.runs if run.outcome == "failed"}
    row["places"] = {str(run.seed): run.location for run in result.runs if run.location}
    row["headlines"] = {name: _headline_to_row(sweep) for name, sweep in result.headlines.items()}
    row["budgets"] = {name: _budget_to_row(budget) for name, budget in result.budgets.items()}
    row["predictions"] = {
        name: {key: getattr(found, key) for key in ("churn", "agreement", "items", "unanimous")}
        | {"constant": list(result.get_seeds(found.constant))}
        for name, found in result.stability.items()
    }
    row["not_finite"] = {name: list(seeds) for name, seeds in result.nonfinite_seeds.items()}
    row["uneven"] = {name: list(sizes) for name, sizes in result.uneven_sizes.items()}
    # The failure text of a failed sweep has the rest.
    failed = _add_exceeded_budgets(_format_failure_rate(result), result)
    note = failed if result.failed else ["", *format_sweep(result), *_format_baseline(baseline)]
    return {"sweep": {key: value for key, value in row.items() if value != {}}, "sweep_note": note}


def _format_baseline(baseline: Baseline | None) -> Iterator[str]:
    lines = list(format_sweep_comparisons(baseline)) if baseline is not None else []
    for number, line in enumerate(lines):
        yield f"{'' if number else 'golden':10} {line}"


def _headline_to_row(sweep: Sweep) -> dict[str, Any]:
    row = {name: getattr(sweep, name) for name in ("n", "mean", "std", "min", "max", "range", "range_ratio")}
    row |= {"outliers": list(sweep.outliers), "not_finite": list(sweep.not_finite)}
    row["values"] = {str(seed): value for seed, value in sweep.values if seed not in sweep.not_finite}
    if bounds := _suggest_bounds(sweep):
        row["suggested"] = {bound.side: bound.bound for bound in bounds} | {"method": bounds[0].method}
    return _drop_non_finite({key: value for key, value in row.items() if value is not None})


def _drop_non_finite(row: Mapping[str, Any]) -> dict[str, Any]:
    """*row* without the numbers that JSON cannot hold."""
    return {k: v for k, v in row.items() if not isinstance(v, float) or math.isfinite(v)}


def _budget_to_row(budget: Budget | str) -> dict[str, Any]:
    if isinstance(budget, str):
        return {"kept": False, "reason": budget}
    breaches = []
    for breach in budget.breaches:
        numbers = {} if breach.rule == "finite" else {"allowed": breach.allowed, "found": breach.actual}
        breaches.append({"rule": breach.rule, "seeds": list(breach.seeds)} | _drop_non_finite(numbers))
    return {"kept": budget.within_budget, "breaches": breaches}
