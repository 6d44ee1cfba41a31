"""The part of a failure text about a table."""

from __future__ import annotations

from dataclasses import replace

from pytest_repro.core.compare.mismatch import Difference, Mismatch
from pytest_repro.core.compare.table import CellDifference, RowMoves, TableDifference
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run
from pytest_repro.reports.failure.text import format_failure, format_headline

KIND = "DataFrame[300 rows, 9 columns]"
CELLS = (
    CellDifference(1017, "'k17'", "['price']", "0.5", "0.25"),
    CellDifference(1017, "'k17'", ".iloc[:, 3]", "'ann'", f"'{'b' * 40}'"),
)
TABLE = TableDifference("frame", 0, "", "frame", KIND, CELLS)


def make_mismatch(path: str, kind: str, other_kind: str = "", number: int = 2) -> Mismatch:
    far = Difference(number, 300, number, 1.5, 3.0, first_index=(17,), first_values=("0.5", "0.25"))
    problem, difference = ("kind", None) if other_kind else ("values", far)
    return Mismatch(f"frame{path}", "frame", 0, path, "repeat", 1, problem, kind, other_kind, difference)  # type: ignore[arg-type]


def make_verdict(tables: tuple[TableDifference, ...], *mismatches: Mismatch) -> Verdict:
    runs = tuple(Run("repeat", number, "passed") for number in range(2))
    return Verdict("diverged", Plan(), runs, mismatches, {"frame": 1}, tables=tables)


def test_rows_and_columns() -> None:
    columns = [make_mismatch(f"['{name}']", "float64[300]") for name in "abcdefg"]
    mismatches = make_mismatch("['day']", "datetime64[ns][300]"), make_mismatch("['day'].isna()", "bool[300]")
    text = format_failure("f", make_verdict((TABLE,), *mismatches, *columns))
    assert text.partition("\n\n")[2].partition("\n\n")[0] == (
        "  frame   DataFrame[300 rows, 9 columns]   run 2 differs from run 1\n"
        "    frame['day'][17]   datetime64[ns][300]   2 of 300 elements (0.667 %)\n"
        + "".join(
            f"    frame['{name}'][17]   float64[300]   2 of 300 elements (0.667 %), max abs 1.5, max rel 3\n"
            for name in "abcde"
        )
        + "    and 2 more columns\n"
        "    row    index  column      run 1  run 2\n"
        "    1,017  'k17'  'price'     0.5    0.25\n"
        f"    1,017  'k17'  iloc[:, 3]  'ann'  '{'b' * 30}…"
    )


def test_rows_in_another_order() -> None:
    moved = replace(TABLE, cells=(), moves=RowMoves(298, ((0, 12), (1, 0))), labels=("'k0'", ""))
    verdict = make_verdict((moved,), make_mismatch("['a']", "float64[300]"))
    assert format_headline(verdict) == "frame: the same rows in another order"
    assert (
        "  frame   DataFrame[300 rows, 9 columns]   run 2 differs from run 1\n"
        "    the same rows in another order: 298 rows moved\n"
        "    row 0 ('k0') in run 1 is row 12 in run 2\n"
        "    row 1 in run 1 is row 0 in run 2\n\n"
    ) in format_failure("f", verdict)
    both = make_verdict(
        (moved,), make_mismatch("['a']", "float64[300]"), Mismatch("x", "x", 0, "", "repeat", 1, "values")
    )
    assert format_headline(both) == "frame['a'] and 1 more differ, max abs 1.5"


def test_another_number_of_rows_is_described_once() -> None:
    other = KIND.replace("300", "299")
    columns = [make_mismatch(f"['{name}']", "float64[300]", "float64[299]") for name in "abcdefgh"]
    text = format_failure("f", make_verdict((), make_mismatch("", KIND, other), *columns))
    assert (f"  frame   {KIND}   run 2 differs from run 1\n    {KIND} in run 1, {other} in run 2\n\n") in text
