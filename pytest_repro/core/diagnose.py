"""Experiments on a test that is not reproducible, what they showed, and the cause that follows."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import NamedTuple

from pytest_repro.core.checked_json import parse_json
from pytest_repro.core.codec import Codec
from pytest_repro.core.plan.plan import Cell
from pytest_repro.core.trace.divergence import Divergence, LineStep, first_divergence
from pytest_repro.core.trace.trace import Trace


class StateRoot(NamedTuple):
    """An object that belongs to a test and outlives a run.

    Attributes:
        value: The value of a fixture, a parameter or an argument.
        location: Where it is defined, ``"/abs/conftest.py:12"``; ``""`` if unknown.
    """

    value: object
    location: str = ""


class Change(NamedTuple):
    """Something that one run left behind for the next.

    Attributes:
        name: ``"test_model.CACHE"``, ``"fixture model.bn.running_mean"``.
        description: ``"grew from 0 to 1 items"``, ``"has different values"``.
        location: Where it is defined, ``"/abs/test_model.py:7"``; ``""`` unknown.
        kind: What it is a part of: ``"module"``, ``"optimiser"``, ``"numpy generator"``,
            ``"torch generator"``, ``"random.Random"``; ``""`` anything else.
        owner: What that is called: ``"test_model.MODEL"``.
    """

    name: str
    description: str
    location: str = ""
    kind: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class ExternalCall:
    """A call to the world outside a test that could make runs differ, and where the user's code made it.

    Attributes:
        display_name: What was called: ``"numpy.random.default_rng()"``.
        cause: The cause word that the call is evidence for: ``"os-entropy"``.
        location: The innermost line of the user's own code, ``"/abs/file.py:12"``.
        via: The library function that the line called, and that made the call: ``"somelib.ids.fresh"``;
            ``""`` if the line made the call itself.
        count: Number of such calls.
    """

    display_name: str
    cause: str
    location: str
    via: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about a test that is not reproducible before any suspect is suspended.

    Attributes:
        calls: Logged calls to the world outside the test.
        divergence: The first op that differs.
        changes: What the first run left behind for the second.
        differing: Number of runs that differed from the first.
        runs: Number of runs, without the first.
    """

    calls: tuple[ExternalCall, ...] = ()
    divergence: Divergence | None = None
    changes: tuple[Change, ...] = ()
    differing: int = 0
    runs: int = 0

    def calls_for(self, cause: str) -> tuple[ExternalCall, ...]:
        """The calls that are evidence for *cause*."""
        return tuple(call for call in self.calls if call.cause == cause)

    @property
    def frequency(self) -> str:
        """How often runs differed, in words."""
        return f"{self.differing} of {self.runs} runs differed from the first"


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause that experiments established: while it is suspended, the runs are equal.

    Attributes:
        name: A cause word: ``"os-entropy"``, …, ``"unknown"``.
        location: Where it is in the user's code, ``"data.py:12"``; ``""`` if unknown.
        explanation: What the cause does, and what the experiments showed.
        fix: What to change.
        ruled_out: Cause words during whose suspension the runs still differed.
    """

    name: str
    location: str = ""
    explanation: str = ""
    fix: str = ""
    ruled_out: tuple[str, ...] = ()


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
