"""What is recorded, put down in the trace of the run as well."""

from __future__ import annotations

from collections.abc import Callable

from pytest_repro.core.runs.observation import ContentRef, Observation, format_key
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.traces import trace_value
from pytest_repro.values.hashing import digest


def make_tracing_recorder(recording: Recording) -> Callable[[str, object], None]:
    """As ``recording.record``, for a run that is traced: where no op parts, a recorded value does."""

    def record(name: str, value: object) -> None:
        before = len(recording)
        recording.record(name, value)
        for each in recording.read_since(before):
            trace_value(f"record {format_key(each.key, each.key[1] > 0)}", (_digest_observation(each),))

    return record


def _digest_observation(observation: Observation) -> str:
    content = observation.content
    return (
        content.digest if isinstance(content, ContentRef) else digest(observation.kind, [memoryview(content)])
    )
