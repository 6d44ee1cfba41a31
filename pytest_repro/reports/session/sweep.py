"""What is said of a test over seeds: in a failure, in the session's section and in the report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_repro.core.runs.run_summary import RunSummary
from pytest_repro.engine.sweep.sweep import SweepResult
from pytest_repro.metrics._arguments import format_list, format_percent, format_seeds
from pytest_repro.metrics.bounds import Bound, suggested_bound
from pytest_repro.metrics.budgets import Breach, Budget
from pytest_repro.metrics.seeds import Sweep

if TYPE_CHECKING:
    from pytest_repro.metrics.predictions import Stability

_MAX_NAMES = 8
"""Names, and seeds that failed, that are told in the terminal; the report has all."""

_MIN_SEEDS_FOR_BOUND = 5
"""Seeds from which on a bound is suggested: a normal's tolerance limit is 4.2 std away for 5, 7.7 for 3."""


def format_headline(result: SweepResult) -> str:
    """``1 of 20 seeds failed: 7; over budget: accuracy``."""
    told = []
    if result.failure_rate is not None and result.failure_rate.failed:
        told.append(
            f"{result.failure_rate.failed} of {result.failure_rate.n} seeds failed: {format_list(result.failure_rate.seeds)}"
        )
    return "; ".join(
        [*told, f"over budget: {format_list(result.exceeded_budgets)}"] if result.exceeded_budgets else told
    )


def format_failure(nodeid: str, result: SweepResult, expected_seed: int | None = None) -> str:
    """The whole text of a test that its sweep fails.

    Args:
        nodeid: The test's node id.
        result: It is broken.
        expected_seed: A seed whose failure was expected.
    """
    import shlex

    lines = [f"{nodeid} does not hold for every seed", "", *(f"  {line}" for line in format_sweep(result))]
    return "\n".join(
        [*lines, f"  replay     pytest {shlex.quote(nodeid)} {_format_replay_options(result, expected_seed)}"]
    )


def _format_replay_options(result: SweepResult, expected_seed: int | None) -> str:
    """The options that show it again: one seed that fails, or for a budget all of them."""
    if result.failure_rate is not None and result.failure_rate.failed:
        expected = [
            each.seed for each in result.runs if each.xfail_reason is not None or each.seed == expected_seed
        ]
        first = [
            seed for seed in result.failure_rate.seeds if seed not in expected
        ] or result.failure_rate.seeds
        return f"--repro-seed={first[0]} --repro-seeds=0"
    asked = sorted(result.requested_seeds)
    if asked == list(range(asked[0], asked[-1] + 1)):
        return f"--repro-seeds={asked[0]}-{asked[-1]}"
    return f"--repro-seeds={','.join(map(str, asked))}"


def format_sweep(result: SweepResult) -> Iterator[str]:
    """The lines of the test: how often it fails, then its headlines, budgets and predictions."""
    yield f"{'seeds':10} {format_failure_rate(result)}"
    broken = _group_by_error(result)
    for (error, place), which in list(broken.items())[:_MAX_NAMES]:
        yield f"{format_seeds(which):10} {error}{place and f'   {place}'}"
    for name, each in result.budgets.items():
        yield f"{'budget':10} {name}: {_describe_budget(each)}"
    for name, sweep in list(result.headlines.items())[:_MAX_NAMES]:
        yield f"{name:10} {sweep}"
        if bound := _suggest_bounds(sweep):
            yield f"{'':10} {_format_bounds(name, *bound)}"
    for name, stability in list(result.stability.items())[:_MAX_NAMES]:
        yield f"{name:10} {format_stability(stability, result.get_seeds(stability.pair))}"
    for name, (few, many) in list(result.uneven_sizes.items())[:_MAX_NAMES]:
        yield f"{name:10} {few} to {many} items: of another number with another seed, so no churn is told"
    for name, bad in list(result.nonfinite_seeds.items())[:_MAX_NAMES]:
        yield f"{name:10} not finite: {format_seeds(bad)}"
    groups = (broken, result.headlines, result.stability, result.uneven_sizes, result.nonfinite_seeds)
    left_out = sum(max(0, len(each) - _MAX_NAMES) for each in groups)
    if left_out:
        yield f"{'':10} and {left_out} more, in the JSON report"
    yield from (f"{'constant':10} {each}" for each in format_constant_predictions(result))


def _group_by_error(result: SweepResult) -> dict[tuple[str, str], list[int]]:
    """The seeds that failed, by how they did, and where."""
    found: dict[tuple[str, str], list[int]] = {}
    for each in result.runs:
        if each.outcome == "failed":
            found.setdefault((each.error or "failed", each.location), []).append(each.seed)
    return found


def format_failure_rate(result: SweepResult) -> str:
    """``1 of 20 failed: seed 7; P(fail) 5 %, up to 21.6 % (95 % confidence)``."""
    found = [str(result.failure_rate)] if result.failure_rate is not None else []
    for outcome in ("skipped", "xfailed"):
        which = [each.seed for each in result.runs if each.outcome == outcome]
        found += [f"{outcome}: {format_seeds(which)}"] if which else []
    missing = len(result.requested_seeds) - len(result.runs)
    return "; ".join([*found, f"{missing} not run, the session ended"] if missing else found)


def _describe_budget(budget: Budget | str) -> str:
    if isinstance(budget, str):
        return budget
    return "; ".join(map(str, budget.breaches)) or "kept"


def _suggest_bounds(sweep: Sweep) -> tuple[Bound, Bound] | None:
    """Of values that scatter, and are all finite."""
    if not sweep.std or not math.isfinite(sweep.std) or sweep.not_finite or sweep.n < _MIN_SEEDS_FOR_BOUND:
        return None
    values = dict(sweep.values)
    return suggested_bound(values, "lower"), suggested_bound(values, "upper")


def _format_bounds(name: str, lower: Bound, upper: Bound) -> str:
    taken = "" if lower.method == "order" else f", if normal; {lower.seeds_needed} seeds tell without that"
    return (
        f"suggested: {name} >= {lower.bound:.4g}, or <= {upper.bound:.4g}, fails for at most "
        f"{format_percent(lower.fails)} of seeds ({format_percent(lower.confidence)} confidence{taken})"
    )


def format_stability(stability: Stability, seed_pair: Sequence[int]) -> str:
    """How far predictions agree; the two that agree least are called by their seeds."""
    text = f"churn {format_percent(stability.churn)}, {stability.runs} seeds × {stability.items} items"
    if stability.churn:
        text += (
            f", largest {format_percent(stability.largest)} between seeds {seed_pair[0]} and {seed_pair[1]}"
        )
    return f"{text}, all agree on {format_percent(stability.unanimous)}"


def format_constant_predictions(result: SweepResult) -> Iterator[str]:
    """A text for each prediction that is the same for every item, under any seed."""
    for name, each in result.stability.items():
        if each.constant and not name.startswith("locals."):  # a mask among them is no model
            yield describe_constant(name, format_seeds(result.get_seeds(each.constant)))


def describe_constant(name: str, condition: str) -> str:
    """Of one array of predictions."""
    return f"{name} is the same for every item with {condition}: stable, but collapsed"


def sweep_to_row(result: SweepResult) -> dict[str, Any]:
    """What the row of a test says: ``sweep``, and its lines for the terminal."""
    row: dict[str, Any] = {"seeds": [each.seed for each in result.runs], "kept": not result.failed}
    for outcome in ("failed", "skipped", "xfailed"):
        row[outcome] = [each.seed for each in result.runs if each.outcome == outcome]
    if not row["xfailed"]:
        del row["xfailed"]
    if result.failure_rate is not None:
        rate = result.failure_rate
        row |= {"p_fail": rate.rate, "p_fail_upper": rate.upper, "confidence": rate.confidence}
    row["errors"] = _errors_to_row(result.runs)
    row["places"] = {str(each.seed): each.location for each in result.runs if each.location}
    row["headlines"] = {name: _headline_to_row(each) for name, each in result.headlines.items()}
    row["budgets"] = {name: _budget_to_row(each) for name, each in result.budgets.items()}
    row["predictions"] = {name: _stability_to_row(result, each) for name, each in result.stability.items()}
    row["not_finite"] = {name: list(which) for name, which in result.nonfinite_seeds.items()}
    row["uneven"] = {name: list(sizes) for name, sizes in result.uneven_sizes.items()}
    over = f"; over budget: {format_list(result.exceeded_budgets)}" if result.exceeded_budgets else ""
    note = [f"{format_failure_rate(result)}{over}"] if result.failed else ["", *format_sweep(result)]
    return {"sweep": {k: v for k, v in row.items() if v != {}}, "sweep_note": note}


def _errors_to_row(runs: Iterable[RunSummary]) -> dict[str, str]:
    return {str(each.seed): each.error for each in runs if each.outcome == "failed"}


def _headline_to_row(sweep: Sweep) -> dict[str, Any]:
    bounds = _suggest_bounds(sweep)
    row = {name: getattr(sweep, name) for name in ("n", "mean", "std", "min", "max", "range", "range_ratio")}
    row |= {"outliers": list(sweep.outliers), "not_finite": list(sweep.not_finite)}
    row["values"] = {str(seed): each for seed, each in sweep.values if seed not in sweep.not_finite}
    if bounds is not None:
        row["suggested"] = {each.side: each.bound for each in bounds} | {"method": bounds[0].method}
    return {key: value for key, value in row.items() if value is not None and _is_strict_json(value)}


def _is_strict_json(value: object) -> bool:
    """Whether JSON has a number for it: the spread of the largest floats is infinite."""
    return not isinstance(value, float) or math.isfinite(value)


def _budget_to_row(budget: Budget | str) -> dict[str, Any]:
    if isinstance(budget, str):
        return {"kept": False, "reason": budget}
    broken = [_breach_to_row(each) for each in budget.breaches]
    return {"kept": budget.within_budget, "breaches": broken}


def _breach_to_row(breach: Breach) -> dict[str, Any]:
    row: dict[str, Any] = {"rule": breach.rule, "seeds": list(breach.seeds)}
    row |= {} if breach.rule == "finite" else {"allowed": breach.allowed, "found": breach.actual}
    return {key: value for key, value in row.items() if _is_strict_json(value)}


def _stability_to_row(result: SweepResult, stability: Stability) -> dict[str, Any]:
    return {
        "churn": stability.churn, "agreement": stability.agreement, "items": stability.items,
        "unanimous": stability.unanimous, "constant": list(result.get_seeds(stability.constant)),
    }  # fmt: skip


def format_sweep_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The lines of each test that was run over seeds, for the session's section.

    Of one that failed by its sweep there is one line: its failure has the rest.
    """
    for row in rows:
        if note := row.get("sweep_note"):
            first, *lines = note
            yield f"sweep     {row['nodeid']}  {first}".rstrip()
            yield from (f"          {line}" for line in lines)
