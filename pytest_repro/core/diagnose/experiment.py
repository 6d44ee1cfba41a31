"""One experiment on a test that is not reproducible: some more runs of it, with some suspects suspended."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

from pytest_repro.core.diagnose.external_call import ExternalCall
from pytest_repro.core.diagnose.finding import Change
from pytest_repro.core.plan.cell import Cell
from pytest_repro.core.trace.divergence import Divergence, first_divergence
from pytest_repro.core.trace.line_steps import LineStep
from pytest_repro.core.trace.trace import Trace


class Experiment(NamedTuple):
    """What is tried. Plain data: it travels to where the test is run.

    Attributes:
        cells: Under what each run is made, the reference first.
        suspended: Names of the suspects that cannot act meanwhile.
        trace_ops: Whether the ops of the runs are recorded; then the runs end with the first that differs.
        log_calls: Whether calls of the outside world are noted.
        diff_state: Whether is looked for what a run leaves behind for the next.
        shift_heap: Whether memory is laid out in another way before the first run; of runs made apart
            before the second alone.
        fresh_forks: Whether each run begins in a process that has not computed yet, all in like ones.
        trace_lines: Whether the user's lines are watched; then the runs end with the first that differs.
        passthrough_lines: Lines whose calls reach what is suspended: ``"/abs/file.py:12"``.
        restored_names: Names of what is put back before each run as the first one found it.
    """

    cells: tuple[Cell, ...]
    suspended: tuple[str, ...] = ()
    trace_ops: bool = False
    log_calls: bool = False
    diff_state: bool = False
    shift_heap: bool = False
    fresh_forks: bool = False
    trace_lines: bool = False
    passthrough_lines: tuple[str, ...] = ()
    restored_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExperimentResult:
    """What an experiment has shown.

    Attributes:
        run_count: Number of runs made.
        differing: Numbers of those that differ from the first.
        reference_digest: A digest of what the first run has shown, to compare with another process's.
        calls: Calls of the outside world, in order.
        changes: What the first run left behind for the second.
        traces: Of the first run, and of the first that differs, else of the last.
        steps: Of the same, what each line did.
        seconds: Wall time.
        outcomes: How the runs ended, each way once: ``"passed"``, ``"failed builtins.ValueError"``.
        not_suspendable: What was to be held and could not be: a cause word, and why.
        restored_names: Names of what could be put back altogether.
    """

    run_count: int
    differing: tuple[int, ...] = ()
    reference_digest: str = ""
    calls: tuple[ExternalCall, ...] = ()
    changes: tuple[Change, ...] = ()
    traces: tuple[Trace, ...] = ()
    steps: tuple[tuple[LineStep, ...], ...] = ()
    seconds: float = 0.0
    outcomes: tuple[str, ...] = ()
    not_suspendable: tuple[tuple[str, str], ...] = ()
    restored_names: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether no run differs from the first."""
        return not self.differing

    @property
    def divergence(self) -> Divergence | None:
        """The first op at which the two runs part that were traced."""
        return first_divergence(*self.traces) if len(self.traces) == 2 else None


def encode_experiment(experiment: Experiment) -> str:
    """*experiment* as JSON."""
    return json.dumps(experiment._replace(cells=tuple(map(_encode_cell, experiment.cells))))


def _encode_cell(cell: Cell) -> Any:
    return [cell.axis, cell.value, dict(cell.setting), cell.repeat_of]


def decode_experiment(text: str) -> Experiment:
    """The experiment that :func:`encode_experiment` made text of."""
    cells, suspended, *rest = json.loads(text)
    found = Experiment(tuple(_decode_cell(*cell) for cell in cells), tuple(suspended), *rest)
    return found._replace(
        passthrough_lines=tuple(found.passthrough_lines), restored_names=tuple(found.restored_names)
    )


def _decode_cell(axis: str, value: object, setting: dict[str, object], repeat_of: list[Any] | None) -> Cell:
    return Cell(axis, value, setting, (repeat_of[0], repeat_of[1]) if repeat_of else None)


def encode_result(result: ExperimentResult) -> bytes:
    """*result* as JSON, and behind it its traces."""
    traces = [trace.to_bytes() for trace in result.traces]
    told = {
        "runs": result.run_count,
        "differing": result.differing,
        "shown": result.reference_digest,
        "seconds": result.seconds,
        "calls": list(map(astuple, result.calls)),
        "changed": result.changes,
        "steps": result.steps,
        "traces": [len(each) for each in traces],
        "ended": result.outcomes,
        "loose": result.not_suspendable,
        "restored": result.restored_names,
    }
    return b"\n".join([json.dumps(told).encode(), b"".join(traces)])


def decode_result(data: bytes) -> ExperimentResult:
    """The answer that :func:`encode_result` wrote."""
    text, _, rest = data.partition(b"\n")
    told, traces = json.loads(text), []
    for length in told["traces"]:
        traces.append(Trace.from_bytes(rest[:length]))
        rest = rest[length:]
    return ExperimentResult(
        run_count=told["runs"],
        differing=tuple(told["differing"]),
        reference_digest=told["shown"],
        seconds=told["seconds"],
        calls=tuple(ExternalCall(*each) for each in told["calls"]),
        changes=tuple(Change(*each) for each in told["changed"]),
        traces=tuple(traces),
        steps=tuple(tuple(_decode_step(*each) for each in run) for run in told["steps"]),
        outcomes=tuple(told["ended"]),
        not_suspendable=tuple((name, why) for name, why in told["loose"]),
        restored_names=tuple(told["restored"]),
    )


def _decode_step(location: str, changed_locals: list[list[str]]) -> LineStep:
    return LineStep(location, tuple((name, digest) for name, digest in changed_locals))
