"""The tests of a report as they are compared with those of other machines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pytest_repro.core.checked_json import JsonNode
from pytest_repro.core.compare.stored_value import StoredValue
from pytest_repro.core.compare.verdict import VERDICT_OUTCOMES, WITHOUT_BASELINE
from pytest_repro.core.plan.plan import EXACT, LEVELS, Level, Tolerance
from pytest_repro.core.runs.observation import Key, Observation
from pytest_repro.core.runs.observation import select_at_level as select_observations
from pytest_repro.reports.failure import format_tolerance
from pytest_repro.reports.json.report import BadReport, Report
from pytest_repro.reports.json.rows import value_from_row

_EXTRA_RUNS = ("sweep", "noise", "cost")


class Rules(NamedTuple):
    """What the marker of a test says about comparisons: it holds between machines as between runs."""

    tolerance: Tolerance = EXACT
    level: Level = LEVELS[0]
    ranks: int = 0

    def __str__(self) -> str:
        parts = [format_tolerance(self.tolerance)]
        parts += [f"level {self.level}"] if self.level != LEVELS[0] else []
        return ", ".join(parts + ([f"ranks {self.ranks}"] if self.ranks else []))


DEFAULT_RULES = Rules()


@dataclass(frozen=True, slots=True)
class ReportedTest:
    """A test in one report; *runs_agree* if its runs are equal, whatever the golden file holds."""

    nodeid: str
    verdict: str
    runs_agree: bool
    seed: int
    values: Mapping[str, StoredValue]  # those that count at the level of its marker
    rules: Rules = DEFAULT_RULES


def iter_test_rows(report: Report) -> Iterator[tuple[tuple[str, int], JsonNode]]:
    """The rows of *report*, by node id and by their number among those with this id."""
    counts: Counter[str] = Counter()
    for row in report.tests:
        if row.get("verdict") is None and any(row.get(key) for key in _EXTRA_RUNS):
            continue  # runs=1: nothing was compared
        nodeid = row["nodeid"].as_text()
        yield (nodeid, counts[nodeid]), row
        counts[nodeid] += 1


def read_tests(report: Report) -> dict[tuple[str, int], ReportedTest]:
    """The tests of *report*, as :func:`iter_test_rows` gives their rows.

    Raises:
        BadReport: A row is malformed, or has no values to compare.
    """
    return {key: read_test(row, report.seed) for key, row in iter_test_rows(report)}


def read_test(row: JsonNode, seed: int) -> ReportedTest:
    """The test of *row*; *seed* is that of the report."""
    nodeid, verdict = row["nodeid"].as_text(), row["verdict"].as_text(*VERDICT_OUTCOMES)
    observations, plan = row.get("observations"), row.get("plan")
    if observations is None and verdict == "reproduced":
        why = f"{nodeid} has no values, since an older pytest-repro wrote the report; write it again"
        raise BadReport(f"{row.location}: {why}")
    # A test is compared with its golden file only if its runs agree.
    golden = verdict == "diverged" and row.get("baseline") is not None
    agree = observations is not None and (verdict in ("reproduced", *WITHOUT_BASELINE) or golden)
    rules = _read_rules(plan) if plan else DEFAULT_RULES
    values = select_at_level(rules.level, read_values(observations or ()))
    return ReportedTest(nodeid, verdict, agree, plan["seed"].as_int() if plan else seed, values, rules)


def _read_rules(plan: JsonNode) -> Rules:
    rtol, atol, level, ranks = map(plan.get, ("rtol", "atol", "level", "ranks"))
    tolerance = Tolerance(rtol.as_finite(), atol.as_finite()) if rtol and atol else EXACT
    name: Any = level.as_text(*LEVELS) if level else LEVELS[0]
    return Rules(tolerance, name, ranks.as_int() if ranks else 0)


def read_values(rows: Iterable[JsonNode]) -> dict[str, StoredValue]:
    """The values of a test by displayed name, in order; the second of one name is ``x#1``.

    The dict keys 1 and "1", say, give two values one name.
    """
    values: dict[str, StoredValue] = {}
    counts: Counter[str] = Counter()
    for value in map(value_from_row, rows):
        name = value.name
        while name in values:
            counts[value.name] += 1
            name = f"{value.name}#{counts[value.name]}"
        values[name] = value
    return values


def select_at_level(level: Level, values: Mapping[str, StoredValue]) -> Mapping[str, StoredValue]:
    """The values that count at *level*, by displayed name; at ``outcome`` by that of their series."""
    if level == LEVELS[0]:
        return values
    containers = {name for value in values.values() for name, _ in value.containers}
    names = {parse_key(name, containers): name for name in values}
    selected = select_observations(level, observe_values(values, names))
    is_last = level == "outcome"
    return {f"{key[0]}{key[2]}" if is_last else names[key]: values[names[key]] for key in selected}


def observe_values(values: Mapping[str, StoredValue], names: Mapping[Key, str]) -> dict[Key, Observation]:
    """Observations of which only key and kind matter."""
    found = {}
    for key, name in names.items():
        kind = values[name].kind
        found[key] = Observation(key, kind, kind.partition("[")[0].removeprefix("q"), parse_shape(kind), b"")
    return found


def parse_shape(kind: str) -> tuple[int, ...]:
    """The shape of an array of *kind*, ``"float32[4, 8]"``; () for a scalar."""
    shape = re.search(r"\[([\d, ]*)\]", kind)  # not "datetime64[ns, UTC]"
    return tuple(map(int, re.findall(r"\d+", shape[1]))) if shape else ()


def parse_key(name: str, containers: Collection[str]) -> Key:
    """The key of a displayed name: recorded name, step, path. *containers*: of values with parts."""
    ends = (match.start() for match in re.finditer(r"[.\[]", name))
    base = next((name[:end] for end in ends if name[:end] in containers), name)
    series = re.fullmatch(r"(.*)\[(\d+)\]", base, re.DOTALL)
    path = name[len(base) :]
    return (series[1], int(series[2]), path) if series else (base, 0, path)
