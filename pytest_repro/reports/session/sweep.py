"""What is said of a test over seeds: in a failure, in the session's section and in the report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_repro.core.runs.run_summary import Gathered
from pytest_repro.engine.sweep.sweep import Swept
from pytest_repro.metrics._arguments import listed, percent, seeds
from pytest_repro.metrics.bounds import Bound, suggested_bound
from pytest_repro.metrics.budgets import Budget
from pytest_repro.metrics.seeds import Sweep

if TYPE_CHECKING:
    from pytest_repro.metrics.predictions import Stability

_MOST = 8
"""Names, and seeds that failed, that are told in the terminal; the report has all."""

_FEW = 5
"""Seeds from which on a bound is suggested: a normal's tolerance limit is 4.2 std away for 5, 7.7 for 3."""


def headline(swept: Swept) -> str:
    """``1 of 20 seeds failed: 7; over budget: accuracy``."""
    told = []
    if swept.rate is not None and swept.rate.failed:
        told.append(f"{swept.rate.failed} of {swept.rate.n} seeds failed: {listed(swept.rate.seeds)}")
    return "; ".join([*told, f"over budget: {listed(swept.over)}"] if swept.over else told)


def failure(called: str, swept: Swept, but: int | None = None) -> str:
    """The whole text of a test that its sweep fails.

    Args:
        called: The test's node id.
        swept: It is broken.
        but: A seed whose failure was expected.
    """
    import shlex

    lines = [f"{called} does not hold for every seed", "", *(f"  {line}" for line in told(swept))]
    return "\n".join([*lines, f"  replay     pytest {shlex.quote(called)} {_again(swept, but)}"])


def _again(swept: Swept, but: int | None) -> str:
    """The options that show it again: one seed that fails, or for a budget all of them."""
    if swept.rate is not None and swept.rate.failed:
        expected = [each.seed for each in swept.runs if each.expected is not None or each.seed == but]
        first = [seed for seed in swept.rate.seeds if seed not in expected] or swept.rate.seeds
        return f"--repro-seed={first[0]} --repro-seeds=0"
    asked = sorted(swept.asked)
    if asked == list(range(asked[0], asked[-1] + 1)):
        return f"--repro-seeds={asked[0]}-{asked[-1]}"
    return f"--repro-seeds={','.join(map(str, asked))}"


def told(swept: Swept) -> Iterator[str]:
    """The lines of the test: how often it fails, then its headlines, budgets and predictions."""
    yield f"{'seeds':10} {counted(swept)}"
    broken = _by_error(swept)
    for (error, place), which in list(broken.items())[:_MOST]:
        yield f"{seeds(which):10} {error}{place and f'   {place}'}"
    for name, each in swept.budgets.items():
        yield f"{'budget':10} {name}: {_kept(each)}"
    for name, sweep in list(swept.headlines.items())[:_MOST]:
        yield f"{name:10} {sweep}"
        if bound := _bounds(sweep):
            yield f"{'':10} {_suggested(name, *bound)}"
    for name, stability in list(swept.stability.items())[:_MOST]:
        yield f"{name:10} {stable(stability, swept.seeds(stability.pair))}"
    for name, (few, many) in list(swept.uneven.items())[:_MOST]:
        yield f"{name:10} {few} to {many} items: of another number with another seed, so no churn is told"
    for name, bad in list(swept.not_finite.items())[:_MOST]:
        yield f"{name:10} not finite: {seeds(bad)}"
    groups = (broken, swept.headlines, swept.stability, swept.uneven, swept.not_finite)
    left_out = sum(max(0, len(each) - _MOST) for each in groups)
    if left_out:
        yield f"{'':10} and {left_out} more, in the JSON report"
    yield from (f"{'constant':10} {each}" for each in constant(swept))


def _by_error(swept: Swept) -> dict[tuple[str, str], list[int]]:
    """The seeds that failed, by how they did, and where."""
    found: dict[tuple[str, str], list[int]] = {}
    for each in swept.runs:
        if each.outcome == "failed":
            found.setdefault((each.error or "failed", each.place), []).append(each.seed)
    return found


def counted(swept: Swept) -> str:
    """``1 of 20 failed: seed 7; P(fail) 5 %, up to 21.6 % (95 % confidence)``."""
    found = [str(swept.rate)] if swept.rate is not None else []
    for outcome in ("skipped", "xfailed"):
        which = [each.seed for each in swept.runs if each.outcome == outcome]
        found += [f"{outcome}: {seeds(which)}"] if which else []
    missing = len(swept.asked) - len(swept.runs)
    return "; ".join([*found, f"{missing} not run, the session ended"] if missing else found)


def _kept(found: Budget | str) -> str:
    if isinstance(found, str):
        return found
    return "; ".join(map(str, found.breaches)) or "kept"


def _bounds(sweep: Sweep) -> tuple[Bound, Bound] | None:
    """Of values that scatter, and are all finite."""
    if not sweep.std or not math.isfinite(sweep.std) or sweep.not_finite or sweep.n < _FEW:
        return None
    values = dict(sweep.values)
    return suggested_bound(values, "lower"), suggested_bound(values, "upper")


def _suggested(name: str, lower: Bound, upper: Bound) -> str:
    taken = "" if lower.method == "order" else f", if normal; {lower.seeds_needed} seeds tell without that"
    return (
        f"suggested: {name} >= {lower.bound:.4g}, or <= {upper.bound:.4g}, fails for at most "
        f"{percent(lower.fails)} of seeds ({percent(lower.confidence)} confidence{taken})"
    )


def stable(found: Stability, pair: Sequence[int]) -> str:
    """How far predictions agree; the two that agree least are called by their seeds."""
    text = f"churn {percent(found.churn)}, {found.runs} seeds × {found.items} items"
    if found.churn:
        text += f", largest {percent(found.largest)} between seeds {pair[0]} and {pair[1]}"
    return f"{text}, all agree on {percent(found.unanimous)}"


def constant(swept: Swept) -> Iterator[str]:
    """A text for each prediction that is the same for every item, under any seed."""
    for name, each in swept.stability.items():
        if each.constant and not name.startswith("locals."):  # a mask among them is no model
            yield is_constant(name, seeds(swept.seeds(each.constant)))


def is_constant(name: str, where: str) -> str:
    """Of one array of predictions."""
    return f"{name} is the same for every item with {where}: stable, but collapsed"


def row_of(swept: Swept) -> dict[str, Any]:
    """What the row of a test says: ``sweep``, and its lines for the terminal."""
    row: dict[str, Any] = {"seeds": [each.seed for each in swept.runs], "kept": not swept.broken}
    for outcome in ("failed", "skipped", "xfailed"):
        row[outcome] = [each.seed for each in swept.runs if each.outcome == outcome]
    if not row["xfailed"]:
        del row["xfailed"]
    if swept.rate is not None:
        rate = swept.rate
        row |= {"p_fail": rate.rate, "p_fail_upper": rate.upper, "confidence": rate.confidence}
    row["errors"] = _errors(swept.runs)
    row["places"] = {str(each.seed): each.place for each in swept.runs if each.place}
    row["headlines"] = {name: _headline_row(each) for name, each in swept.headlines.items()}
    row["budgets"] = {name: _budget_row(each) for name, each in swept.budgets.items()}
    row["predictions"] = {name: _stability_row(swept, each) for name, each in swept.stability.items()}
    row["not_finite"] = {name: list(which) for name, which in swept.not_finite.items()}
    row["uneven"] = {name: list(sizes) for name, sizes in swept.uneven.items()}
    over = f"; over budget: {listed(swept.over)}" if swept.over else ""
    note = [f"{counted(swept)}{over}"] if swept.broken else ["", *told(swept)]
    return {"sweep": {k: v for k, v in row.items() if v != {}}, "sweep_note": note}


def _errors(runs: Iterable[Gathered]) -> dict[str, str]:
    return {str(each.seed): each.error for each in runs if each.outcome == "failed"}


def _headline_row(sweep: Sweep) -> dict[str, Any]:
    bounds = _bounds(sweep)
    row = {name: getattr(sweep, name) for name in ("n", "mean", "std", "min", "max", "range", "range_ratio")}
    row |= {"outliers": list(sweep.outliers), "not_finite": list(sweep.not_finite)}
    row["values"] = {str(seed): each for seed, each in sweep.values if seed not in sweep.not_finite}
    if bounds is not None:
        row["suggested"] = {each.side: each.bound for each in bounds} | {"method": bounds[0].method}
    return {key: value for key, value in row.items() if value is not None and _strict(value)}


def _strict(value: object) -> bool:
    """Whether JSON has a number for it: the spread of the largest floats is infinite."""
    return not isinstance(value, float) or math.isfinite(value)


def _budget_row(found: Budget | str) -> dict[str, Any]:
    if isinstance(found, str):
        return {"kept": False, "reason": found}
    broken = [_breach_row(each) for each in found.breaches]
    return {"kept": found.kept, "breaches": broken}


def _breach_row(breach: Any) -> dict[str, Any]:
    row = {"rule": breach.rule, "seeds": list(breach.seeds)}
    row |= {} if breach.rule == "finite" else {"allowed": breach.allowed, "found": breach.found}
    return {key: value for key, value in row.items() if _strict(value)}


def _stability_row(swept: Swept, found: Stability) -> dict[str, Any]:
    return {
        "churn": found.churn, "agreement": found.agreement, "items": found.items,
        "unanimous": found.unanimous, "constant": list(swept.seeds(found.constant)),
    }  # fmt: skip


def sweeps(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The lines of each test that was run over seeds, for the session's section.

    Of one that failed by its sweep there is one line: its failure has the rest.
    """
    for row in rows:
        if note := row.get("sweep_note"):
            first, *lines = note
            yield f"sweep     {row['nodeid']}  {first}".rstrip()
            yield from (f"          {line}" for line in lines)
