"""Tables of two runs: cells with labels, and rows that moved; in this process, from another, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pytest_repro.companions.serialize_run import decode_run, encode_run
from pytest_repro.core.checked_json import JsonNode
from pytest_repro.core.compare.table import CellDifference, TableDifference
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.plan import Cell, Plan, Tolerance
from pytest_repro.core.runs.run import Run
from pytest_repro.engine.experiments.row_digest import digest_rows
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.engine.runs.remote_run import RemoteRecording
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.reports.json.rows import verdict_from_row, verdict_to_row

pd: Any = pytest.importorskip("pandas")

COUNT = 300
ORDER = np.random.default_rng(0).permutation(COUNT)


def make_frame() -> Any:
    return pd.DataFrame(
        {
            "price": np.arange(COUNT) / 7,
            "kind": pd.Categorical(["x", "y", None] * 100),
            "sold": pd.array([1, None] * 150, dtype="Int64"),
        },
        index=pd.MultiIndex.from_product([range(100), ["a", "b", "c"]]),
    )


def judge(one: object, other: object, remote: bool = False) -> Verdict:
    with_values = Trial(Plan())
    try:
        for number, value in enumerate((one, other)):
            cell, run = Cell(value=number), Run("repeat", number, "passed", observation_count=1)
            recording = with_values.new_recording(cell)
            if remote:  # it knows no reference
                recording = Recording(with_values.store, Plan().tolerance_for())
            recording.record("frame", value)
            if remote and number:
                send(with_values, run, recording)
            else:
                with_values.add(run, recording)
        return with_values.compute_verdict()
    finally:
        with_values.close()


def send(trial: Trial, run: Run, recording: Recording) -> None:
    """Adds what another interpreter recorded, whose values are fetched."""
    observations = recording.observations()
    _, there = decode_run(encode_run(run, observations.values()), Cell(value=1))

    def fetch(key: Any, logits: bool = False) -> Iterator[memoryview]:
        kept: Any = trial.store.get(observations[key].content)  # type: ignore[arg-type]
        yield memoryview(kept[:])

    trial.add_remote(Cell(value=1), run, RemoteRecording(there), fetch)


@pytest.mark.parametrize("remote", [False, True])
def test_cells_with_their_labels(remote: bool) -> None:
    frame = make_frame()
    frame.iloc[4, 0], frame.iloc[4, 1], frame.iloc[200, 2] = 0.5, "x", 7
    frame.iloc[9, 1], frame.iloc[250, 0] = np.nan, 1.0
    (table,) = judge(make_frame(), frame, remote).tables
    assert table == TableDifference(
        "frame", 0, "", "frame", "DataFrame[300 rows, 3 columns]",
        (
            CellDifference(4, "(1, 'b')", "['price']", str(4 / 7), "0.5"),
            CellDifference(4, "(1, 'b')", "['kind']", "'y'", "'x'"),
            CellDifference(9, "(3, 'a')", "['kind']", "'x'", "null"),
            CellDifference(200, "(66, 'c')", "['sold']", "1", "7"),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("remote", [False, True])
def test_rows_in_another_order(remote: bool) -> None:
    frame = make_frame()
    verdict = judge(frame, frame.iloc[ORDER], remote)
    moves = verdict.tables[0].moves
    assert moves is not None
    assert moves.first == tuple((i, int(np.flatnonzero(i == ORDER)[0])) for i in range(3))
    assert verdict.tables[0].labels == ("(0, 'a')", "(0, 'b')", "(0, 'c')")
    row = JsonNode(verdict_to_row("a::b", verdict), "")
    assert verdict_from_row(row, {}, 0).tables == verdict.tables


def test_a_default_index_is_no_part_of_the_rows() -> None:
    frame = make_frame().reset_index(drop=True)
    moved = frame.iloc[ORDER].reset_index(drop=True)
    (table,) = judge(frame, moved).tables
    assert (table.moves is not None, table.labels) == (True, ("", "", ""))
    labelled = frame.set_axis(frame.index + 1)  # these labels say something: other rows have them now
    assert judge(labelled, moved.set_axis(moved.index + 1)).tables[0].moves is None


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.assign(price=frame["price"].to_numpy()[ORDER]),
        lambda frame: frame.iloc[ORDER].assign(price=0.0),
        lambda frame: frame.iloc[ORDER].rename(columns={"price": "cost"}),
        lambda frame: frame.iloc[ORDER].assign(kind=frame["kind"].cat.reorder_categories(["y", "x"])),
    ],
)
def test_other_rows_are_not_moved_ones(change: Any) -> None:
    assert all(table.moves is None for table in judge(make_frame(), change(make_frame())).tables)


def test_lists_of_any_length_are_no_cells() -> None:
    frames = [pd.DataFrame({"n": [0, 1, 2, 3], "l": [[1], [2, 3], [], [4]]}) for _ in range(2)]
    verdict = judge(frames[0], frames[1].iloc[::-1].reset_index(drop=True))
    assert verdict.outcome == "diverged"
    assert all(table.moves is None for table in verdict.tables)


def compute_row_digest(value: object) -> str:
    trial = Trial(Plan())
    recording = trial.new_recording(Cell())
    recording.record("frame", value)
    found = digest_rows(recording, trial.store)
    trial.close()
    return found


def test_rows_in_any_order_have_one_digest() -> None:
    frame = make_frame()
    assert compute_row_digest(frame) == compute_row_digest(frame.iloc[ORDER]) != ""
    plain = frame.reset_index(drop=True)
    assert compute_row_digest(plain) == compute_row_digest(plain.iloc[ORDER].reset_index(drop=True))
    assert compute_row_digest(plain) != compute_row_digest(
        plain.assign(price=frame["price"].to_numpy()[ORDER])
    )
    assert compute_row_digest(frame) != compute_row_digest(frame.rename(columns={"price": "cost"}))


def test_a_tolerance_is_not_for_moments_and_categories() -> None:
    days = pd.date_range("2024-01-01", periods=3)
    for one, other in ((days, days + pd.Timedelta(1, "s")), (pd.Categorical([0, 1]), pd.Categorical([1, 0]))):
        trial = Trial(Plan(tolerance=Tolerance(1e-3, 10.0)))
        for number, value in enumerate((one, other)):
            recording = trial.new_recording(Cell(value=number))
            recording.record("x", value)
            trial.add(Run("repeat", number, "passed", observation_count=1), recording)
        assert trial.compute_verdict().outcome == "diverged"
        trial.close()
