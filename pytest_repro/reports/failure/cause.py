"""Where runs first parted, what made it, and what to change."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.diagnose.finding import Finding
from pytest_repro.core.trace.divergence import Divergence

_WIDTH = 92

_KIND_TEXTS = {
    "value": "equal inputs, other output",
    "input": "an input differs that no op of this run made",
    "path": "another op in the other run",
    "length": "the other run ends here",
}


def format_diagnosis(verdict: Verdict) -> Iterator[str]:
    """What an inquiry has found, in lines; nothing where nobody looked."""
    if verdict.divergence is not None:
        yield from _format_divergence(verdict.divergence)
    if verdict.cause is not None:
        yield from _format_cause(verdict.cause)


def _wrap_with_label(label: str, text: str) -> Iterator[str]:
    """*text* behind *label*, wrapped, in the columns of the report."""
    for number, line in enumerate(
        textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
    ):
        yield f"  {label if number == 0 else '':<10} {line}"


def _format_divergence(divergence: Divergence) -> Iterator[str]:
    where = divergence.location or "nowhere in your code"
    if divergence.forward_location and divergence.forward_location != divergence.location:
        called = f", called at {divergence.location}" if divergence.location else ""
        where = f"{divergence.forward_location}, in its backward{called}"
    yield from _wrap_with_label(
        "parted at", f"op {divergence.index:,} {divergence.op}   {where}: {describe_divergence(divergence)}"
    )
    if divergence.kind in ("path", "length"):
        yield from (f"  {'':<10}   {line}" for line in _format_ops(divergence))


def describe_divergence(divergence: Divergence) -> str:
    """What a divergence says, in a few words."""
    if divergence.kind != "input":
        return _KIND_TEXTS[divergence.kind]
    if divergence.random:
        return "its generator stood elsewhere"
    if divergence.op.startswith("record "):
        return "no op before it differs"
    if divergence.op.startswith("from "):
        return "it came from outside torch, and differs"
    return _KIND_TEXTS["input"]


def _format_ops(divergence: Divergence) -> Iterator[str]:
    """Both sides, where the ops themselves differ."""
    for name, ops in (("one run", divergence.context), ("other", divergence.other_context)):
        names = [
            f"[{op.name}]" if n == divergence.index else op.name
            for n, op in enumerate(ops, divergence.context_start)
        ]
        yield f"{name:<8} {' '.join(names)}{' and no more' if len(ops) <= divergence.index - divergence.context_start else ''}"


def _format_cause(finding: Finding) -> Iterator[str]:
    at = f" at {finding.location}" if finding.location else ""
    yield from _wrap_with_label("cause", f"{finding.name}{at}")
    yield from _wrap_with_label("", finding.explanation)
    if finding.fix:
        yield from _wrap_with_label("fix", finding.fix)
    if finding.ruled_out:
        yield from _wrap_with_label("ruled out", ", ".join(finding.ruled_out))
