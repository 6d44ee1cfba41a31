"""The part of a failure text about the diagnosis: where runs diverged, why, and the fix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.runs.join_ranks import format_ranks
from pytest_repro.reports.failure import format_labelled, wrap_labelled

if TYPE_CHECKING:
    from pytest_repro.core.diagnose import Finding
    from pytest_repro.core.trace.divergence import Divergence

_KIND_TEXTS = {
    "value": "equal inputs, different output",
    "input": "an input differs that no op of this run produced",
    "path": "the other run calls another op",
    "length": "the other run ends here",
}


def format_diagnosis(verdict: Verdict) -> Iterator[str]:
    """The divergence and the causes, in lines."""
    if verdict.divergence is not None:
        yield from _format_divergence(verdict.divergence)
    count = len(verdict.causes)
    for number, finding in enumerate(verdict.causes, 1):
        yield from _format_cause(finding, f" ({number} of {count})" if count > 1 else "")
    if verdict.causes and verdict.causes[0].ruled_out:
        yield from wrap_labelled("ruled out", ", ".join(verdict.causes[0].ruled_out))


def format_links(verdict: Verdict, docs_url: str) -> Iterator[str]:
    """The address of the page of each cause, below *docs_url*; nothing without it."""
    links = dict.fromkeys(get_link(finding.name, docs_url) for finding in verdict.causes)
    return format_labelled("docs", links if docs_url else ())


def get_link(name: str, docs_url: str) -> str:
    """The address of the page of the cause *name*; ``""`` without *docs_url*."""
    return docs_url and f"{docs_url}/causes/{name}.html"


def _format_divergence(divergence: Divergence) -> Iterator[str]:
    alike: dict[tuple[str, str], list[int]] = {}
    for each in (divergence, *divergence.others):
        ranks = alike.setdefault((f"at op {each.index:,} {each.op}", _locate(each)), [])
        ranks += [] if each.rank is None else [each.rank]
    for (op, location), ranks in alike.items():
        who = f"{format_ranks(ranks)} " if ranks else ""
        yield from wrap_labelled("diverged", f"{who}{op}   {location}")
    if divergence.kind in ("path", "length"):
        yield from format_labelled("", (f"  {line}" for line in _format_ops(divergence)))
    if divergence.others:
        yield from wrap_labelled("", "no collective establishes which of these came first")
    for text in describe_receipts(divergence):
        yield from wrap_labelled("", text)


def describe_others(divergence: Divergence) -> Iterator[str]:
    """``rank 1, op 12 from numpy, differs too at train.py:5: no collective establishes which came first``."""
    for each in divergence.others:
        op = f"rank {each.rank}, op {each.index:,} {each.op}, differs too"
        yield f"{op} at {_locate(each)}; no collective establishes which came first"


def describe_receipts(divergence: Divergence) -> Iterator[str]:
    """``rank 0 received it through all_reduce at train.py:30``."""
    ways: dict[tuple[str, str, tuple[int, ...]], list[int]] = {}
    several = bool(divergence.others) or any(
        each.senders != (divergence.rank,) for each in divergence.received
    )
    for each in divergence.received:
        ways.setdefault((each.op, each.location, each.senders if several else ()), []).append(each.rank)
    for (op, location, senders), ranks in ways.items():
        at = f" at {location}" if location else ""
        origin = f" from {format_ranks(senders)}" if senders else ""
        yield f"{format_ranks(ranks)} received it{origin} through {op}{at}"


def _locate(divergence: Divergence) -> str:
    """Where the op is, and what differs there."""
    location = divergence.location or "outside your code"
    if divergence.forward_location and divergence.forward_location != divergence.location:
        called = f", called at {divergence.location}" if divergence.location else ""
        location = f"backward of {divergence.forward_location}{called}"
    return f"{location}: {describe_divergence(divergence)}"


def describe_divergence(divergence: Divergence) -> str:
    """``equal inputs, different output``."""
    if divergence.kind == "input":
        if divergence.random:
            return "the state of its generator differs"
        if divergence.op.startswith("record "):
            return "no op before it differs"
        if divergence.op.startswith("from "):
            return "it comes from outside torch and differs"
    if divergence.rank is not None and divergence.kind == "value" and "c10d" in divergence.op:
        return "equal inputs in all ranks, different output: the collective itself, as the order of its sum"
    return _KIND_TEXTS[divergence.kind]


def _format_ops(divergence: Divergence) -> Iterator[str]:
    """The ops of both runs around the divergence, if the ops themselves differ."""
    for side, ops in (("run 1", divergence.context), ("other", divergence.other_context)):
        names = [
            f"[{op.name}]" if index == divergence.index else op.name
            for index, op in enumerate(ops, divergence.context_start)
        ]
        end = " (end)" if len(ops) <= divergence.index - divergence.context_start else ""
        yield f"{side:<8} {' '.join(names)}{end}"


def _format_cause(finding: Finding, number: str) -> Iterator[str]:
    at = f" at {finding.location}" if finding.location else ""
    yield from wrap_labelled("cause", f"{finding.name}{at}{number}")
    yield from wrap_labelled("", finding.explanation)
    if finding.seen:
        yield from wrap_labelled("", f"seen, not tested: {'; '.join(finding.seen)}")
    yield from wrap_labelled("fix", finding.fix)
