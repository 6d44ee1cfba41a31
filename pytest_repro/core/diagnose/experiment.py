"""An experiment on a test that is not reproducible: more runs of it, with some suspects suspended."""

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
    """What an experiment does. It is plain data, and is sent to the process that runs the test.

    Attributes:
        cells: Cell of each run, the reference first.
        suspended: Names of the suspects that cannot act in these runs.
        trace_ops: Whether ops are traced; the runs stop after the first that differs.
        log_calls: Whether calls to the world outside the test are logged.
        diff_state: Whether changes that a run leaves behind for the next are searched for.
        shift_heap: Whether the memory layout is changed before the first run; with *fresh_forks*, before the
            second run only.
        fresh_forks: Whether each run starts in its own fork of a process that has not computed anything.
        trace_lines: Whether the user's lines are traced; the runs stop after the first that differs.
        passthrough_lines: Lines whose calls are not suspended: ``"/abs/file.py:12"``.
        restored_names: Names of the state that is restored before each run to that before the first.
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
    """What an experiment showed.

    Attributes:
        run_count: Number of runs.
        differing: Numbers of the runs that differ from the first.
        reference_digest: Digest of what the first run did, to compare it with that of another process.
        calls: Calls to the world outside the test, in order.
        changes: What the first run left behind for the second.
        traces: Traces of the first run and of the first that differs, or of the last if none does.
        steps: What each line did, in the same two runs.
        seconds: Wall time.
        outcomes: Distinct outcomes of the runs: ``"passed"``, ``"failed builtins.ValueError"``.
        not_suspendable: Cause word and reason of each suspect that could not be suspended.
        restored_names: Names of the state that could be restored completely.
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
        """The first op at which the two traced runs differ."""
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
