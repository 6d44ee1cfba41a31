"""One experiment on a test that is not reproducible: some more runs of it, with some suspects suspended."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import NamedTuple

from pytest_repro.core.checked_json import parse_json
from pytest_repro.core.codec import Codec
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


_CODEC = Codec({ExperimentResult: [each.name for each in fields(ExperimentResult) if each.name != "traces"]})


def encode_experiment(experiment: Experiment) -> str:
    """*experiment* as JSON."""
    return json.dumps(_CODEC.encode(experiment))


def decode_experiment(text: str) -> Experiment:
    """The experiment that :func:`encode_experiment` made *text* of.

    Raises:
        BadJson: *text* is something else.
    """
    return _CODEC.decode(Experiment, parse_json(text, "experiment"))


def encode_result(result: ExperimentResult) -> bytes:
    """*result* as a line of JSON, followed by its traces."""
    traces = [trace.to_bytes() for trace in result.traces]
    head = {"result": _CODEC.encode(result), "trace_sizes": [len(trace) for trace in traces]}
    return b"\n".join([json.dumps(head).encode(), b"".join(traces)])


def decode_result(data: bytes) -> ExperimentResult:
    """The result that :func:`encode_result` made *data* of.

    Raises:
        ValueError: *data* are something else.
    """
    head, _, rest = data.partition(b"\n")
    root, traces = parse_json(head, "answer"), []
    for size in root["trace_sizes"]:
        traces.append(Trace.from_bytes(rest[: size.as_int()]))
        rest = rest[size.as_int() :]
    return _CODEC.decode(ExperimentResult, root["result"], traces=tuple(traces))
