"""One experiment on a test that is not reproducible: some more runs of it, with some suspects suspended."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

from pytest_repro.core.diagnose.external_call import Call
from pytest_repro.core.diagnose.finding import Change
from pytest_repro.core.plan.cell import Cell
from pytest_repro.core.trace.divergence import Divergence, first_divergence
from pytest_repro.core.trace.line_steps import Step
from pytest_repro.core.trace.trace import Trace


class Experiment(NamedTuple):
    """What is tried. Plain data: it travels to where the test is run.

    Attributes:
        cells: Under what each run is made, the reference first.
        suspended: Names of the suspects that cannot act meanwhile.
        traced: Whether the ops of the runs are recorded; then the runs end with the first that differs.
        heard: Whether calls of the outside world are noted.
        watched: Whether is looked for what a run leaves behind for the next.
        stirred: Whether memory is laid out in another way before the first run; of runs made apart
            before the second alone.
        apart: Whether each run begins in a process that has not computed yet, all in like ones.
        lined: Whether the user's lines are watched; then the runs end with the first that differs.
        spared: Lines whose calls reach what is suspended: ``"/abs/file.py:12"``.
        restored: Names of what is put back before each run as the first one found it.
    """

    cells: tuple[Cell, ...]
    suspended: tuple[str, ...] = ()
    traced: bool = False
    heard: bool = False
    watched: bool = False
    stirred: bool = False
    apart: bool = False
    lined: bool = False
    spared: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tried:
    """What an experiment has shown.

    Attributes:
        runs: Number of runs made.
        differing: Numbers of those that differ from the first.
        shown: A digest of what the first run has shown, to compare with another process's.
        calls: Calls of the outside world, in order.
        changed: What the first run left behind for the second.
        traces: Of the first run, and of the first that differs, else of the last.
        steps: Of the same, what each line did.
        seconds: Wall time.
        ended: How the runs ended, each way once: ``"passed"``, ``"failed builtins.ValueError"``.
        loose: What was to be held and could not be: a cause word, and why.
        restored: Names of what could be put back altogether.
    """

    runs: int
    differing: tuple[int, ...] = ()
    shown: str = ""
    calls: tuple[Call, ...] = ()
    changed: tuple[Change, ...] = ()
    traces: tuple[Trace, ...] = ()
    steps: tuple[tuple[Step, ...], ...] = ()
    seconds: float = 0.0
    ended: tuple[str, ...] = ()
    loose: tuple[tuple[str, str], ...] = ()
    restored: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether no run differs from the first."""
        return not self.differing

    @property
    def parted(self) -> Divergence | None:
        """The first op at which the two runs part that were traced."""
        return first_divergence(*self.traces) if len(self.traces) == 2 else None


def order_text(experiment: Experiment) -> str:
    """*experiment* as JSON."""
    return json.dumps(experiment._replace(cells=tuple(map(_plain, experiment.cells))))


def _plain(cell: Cell) -> Any:
    return [cell.axis, cell.value, dict(cell.setting), cell.at]


def experiment_of(text: str) -> Experiment:
    """The experiment that :func:`order_text` made text of."""
    cells, suspended, *rest = json.loads(text)
    found = Experiment(tuple(_cell(*cell) for cell in cells), tuple(suspended), *rest)
    return found._replace(spared=tuple(found.spared), restored=tuple(found.restored))


def _cell(axis: str, value: object, setting: dict[str, object], at: list[Any] | None) -> Cell:
    return Cell(axis, value, setting, (at[0], at[1]) if at else None)


def answer_bytes(tried: Tried) -> bytes:
    """*tried* as JSON, and behind it its traces."""
    traces = [trace.to_bytes() for trace in tried.traces]
    told = {
        "runs": tried.runs, "differing": tried.differing, "shown": tried.shown, "seconds": tried.seconds,
        "calls": list(map(astuple, tried.calls)), "changed": tried.changed, "steps": tried.steps,
        "traces": [len(each) for each in traces], "ended": tried.ended, "loose": tried.loose,
        "restored": tried.restored,
    }  # fmt: skip
    return b"\n".join([json.dumps(told).encode(), b"".join(traces)])


def tried_of(said: bytes) -> Tried:
    """The answer that :func:`answer_bytes` wrote."""
    text, _, rest = said.partition(b"\n")
    told, traces = json.loads(text), []
    for length in told["traces"]:
        traces.append(Trace.from_bytes(rest[:length]))
        rest = rest[length:]
    return Tried(
        runs=told["runs"], differing=tuple(told["differing"]), shown=told["shown"], seconds=told["seconds"],
        calls=tuple(Call(*each) for each in told["calls"]),
        changed=tuple(Change(*each) for each in told["changed"]), traces=tuple(traces),
        steps=tuple(tuple(_step(*each) for each in run) for run in told["steps"]),
        ended=tuple(told["ended"]), loose=tuple((name, why) for name, why in told["loose"]),
        restored=tuple(told["restored"]),
    )  # fmt: skip


def _step(location: str, changed: list[list[str]]) -> Step:
    return Step(location, tuple((name, digest) for name, digest in changed))
