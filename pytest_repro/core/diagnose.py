"""Experiments on a test that is not reproducible, what they showed, and the cause that follows."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from itertools import combinations
from typing import NamedTuple

from pytest_repro.core.checked_json import parse_json
from pytest_repro.core.codec import Codec
from pytest_repro.core.plan.plan import Cell
from pytest_repro.core.trace.divergence import Divergence, LineStep, first_divergence
from pytest_repro.core.trace.trace import Trace


class StateRoot(NamedTuple):
    """The value of a fixture, a parameter or an argument, which outlives a run."""

    value: object
    location: str = ""  # where it is defined, ``"/abs/conftest.py:12"``; ``""`` if unknown


class Change(NamedTuple):
    """Something that one run left behind for the next.

    *kind* and *owner* are of what it is a part of: ``"module"``, ``"optimiser"``, ``"numpy generator"``,
    ``"torch generator"``, ``"random.Random"``, or ``""`` for anything else.
    """

    name: str  # ``"test_model.CACHE"``, ``"fixture model.bn.running_mean"``
    description: str  # ``"grew from 0 to 1 items"``, ``"has different values"``
    location: str = ""  # where it is defined, ``"/abs/test_model.py:7"``
    kind: str = ""
    owner: str = ""  # ``"test_model.MODEL"``


@dataclass(frozen=True, slots=True)
class ExternalCall:
    """A call to the world outside a test that could make runs differ, and where the user's code made it."""

    display_name: str  # ``"numpy.random.default_rng()"``
    cause: str  # the cause word that it is evidence for: ``"os-entropy"``
    location: str  # the innermost line of the user's own code, ``"/abs/file.py:12"``
    via: str = ""  # the library function that this line called to make the call: ``"somelib.ids.fresh"``
    count: int = 1
    in_worker: bool = False  # whether a forked process made it

    @property
    def site(self) -> str:
        """The line, and the library function that it called: one line may make several calls."""
        return f"{self.location} {self.via}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about a test that is not reproducible before any suspect is suspended."""

    calls: tuple[ExternalCall, ...] = ()  # logged calls to the world outside the test
    divergence: Divergence | None = None  # the first op that differs
    changes: tuple[Change, ...] = ()  # what the first run left behind for the second
    differing: int = 0  # number of runs that differed from the first
    runs: int = 0  # number of runs, without the first

    def calls_for(self, cause: str) -> tuple[ExternalCall, ...]:
        """The calls that are evidence for *cause*."""
        return tuple(call for call in self.calls if call.cause == cause)

    @property
    def frequency(self) -> str:
        """How often runs differed, in words."""
        return f"{self.differing} of {self.runs} runs differed from the first"


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause that experiments established: while it is suspended, the runs are equal."""

    name: str  # a cause word: ``"os-entropy"``, …, ``"unknown"``
    location: str = ""  # in the user's code, ``"data.py:12"``; ``""`` if unknown
    explanation: str = ""  # what the cause does, and what the experiments showed
    fix: str = ""  # what to change
    ruled_out: tuple[str, ...] = ()  # cause words that were suspended completely and make no difference
    seen: tuple[str, ...] = ()  # calls that were seen and not tested, most likely first: ``"f() at a.py:8"``

    @property
    def is_untested(self) -> bool:
        """Whether the diagnosis ended before it had tested what it suspects."""
        return self.name == "unknown" and (bool(self.seen) or not self.ruled_out)


class Experiment(NamedTuple):
    """What an experiment does. It is plain data, and is sent to the process that runs the test.

    With *trace_ops*, *trace_lines* or *until_differing*, the runs stop after the first that differs; with
    *fresh_forks*, only *until_differing* stops them. With a *free_run*, they stop after the first that shows
    that the suspects alone do not make the difference: that run must differ from the first one, and the
    others must not. Only the calls that are evidence for the suspects are logged then, and ops are traced up
    to that run. *shift_heap* changes the memory layout before the first run; if each run has a fork of its
    own, before every second run only.
    """

    cells: tuple[Cell, ...]  # of each run, the reference first
    suspended: tuple[str, ...] = ()  # suspects that cannot act in these runs
    trace_ops: bool = False
    log_calls: bool = False  # to the world outside the test
    diff_state: bool = False  # whether to search for what a run leaves behind for the next
    shift_heap: bool = False
    fresh_forks: bool = False  # whether each run starts in its own fork of a process that computed nothing
    trace_lines: bool = False  # the user's lines
    passthrough_sites: tuple[str, ...] = ()  # whose calls are not suspended: lines, or sites of calls
    restored_names: tuple[str, ...] = ()  # state that is restored before each run to that before the first
    omitted_lines: tuple[str, ...] = ()  # whose calls that seed or set something do nothing
    compare_session: bool = False  # with the state of the process that asks
    session_names: tuple[str, ...] = ()  # state that is set to that of the process that asks
    session_state: str = ""  # of that process
    digest_rows: bool = False  # whether values are also compared as rows in any order
    until_differing: bool = False
    digest_layout: bool = False  # whether the addresses of objects are noted when a body starts
    located_names: tuple[str, ...] = ()  # settings, for which the line that changes them is looked for
    keeps_setup: bool = False  # whether what the first setup adds is restored to that, not removed
    free_run: int = 0  # number of the one run in which nothing is suspended and calls are logged; 0 if none


@dataclass(frozen=True, slots=True)
class ExperimentResult:
    """What an experiment showed.

    *traces* and *steps* are of the first run and of the first that differs, or of the last if none does.
    """

    run_count: int
    differing: tuple[int, ...] = ()  # numbers of the runs that differ from the first
    reference_digest: str = ""  # of what the first run did, to compare it with that of another process
    calls: tuple[ExternalCall, ...] = ()  # to the world outside the test, in order
    changes: tuple[Change, ...] = ()  # what the first run left behind for the second
    traces: tuple[Trace, ...] = ()
    steps: tuple[tuple[LineStep, ...], ...] = ()  # what each line did
    seconds: float = 0.0  # wall time
    outcomes: tuple[str, ...] = ()  # distinct: ``"passed"``, ``"failed builtins.ValueError"``
    not_suspendable: tuple[tuple[str, str], ...] = ()  # cause word and reason
    restored_names: tuple[str, ...] = ()  # state that could be restored completely
    compiled: tuple[tuple[str, str], ...] = ()  # line and compiled module: ``("/abs/a.py:8", "hnswlib")``
    row_digests: tuple[str, ...] = ()  # of each run: equal if its rows are, in any order
    digests: tuple[str, ...] = ()  # of each run: equal for runs that agree, in other experiments too
    differing_names: tuple[str, ...] = ()  # of the recorded values that differ in any run
    cpu_seconds: float = 0.0  # of the process that made the runs, with its imports
    layouts: tuple[str, ...] = ()  # of each run: equal if objects had the same addresses when it started

    @property
    def equal(self) -> bool:
        """Whether no run differs from the first."""
        return not self.differing

    @property
    def differs_in_one_layout(self) -> bool:
        """Whether two runs differ although objects had the same addresses when they started."""
        runs = [*zip(self.digests, self.layouts)]
        return any(a != b and x == y for (a, x), (b, y) in combinations(runs, 2))

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


def set_cpu_seconds(data: bytes, seconds: float) -> bytes:
    """*data*, an encoded result, with another processor time: that of the forks which made its runs."""
    head, separator, rest = data.partition(b"\n")
    root = json.loads(head)
    root["result"]["cpu_seconds"] = seconds
    return json.dumps(root).encode() + separator + rest


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
