"""Where runs first parted, what made it, and what to change."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.diagnose.finding import Finding
from pytest_repro.core.trace.divergence import Divergence

_WIDTH = 92

_READ = {
    "value": "equal inputs, other output",
    "input": "an input differs that no op of this run made",
    "path": "another op in the other run",
    "length": "the other run ends here",
}


def told(verdict: Verdict) -> Iterator[str]:
    """What an inquiry has found, in lines; nothing where nobody looked."""
    if verdict.divergence is not None:
        yield from _parted(verdict.divergence)
    if verdict.finding is not None:
        yield from _cause(verdict.finding)


def _labelled(label: str, text: str) -> Iterator[str]:
    """*text* behind *label*, wrapped, in the columns of the report."""
    for number, line in enumerate(
        textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
    ):
        yield f"  {label if number == 0 else '':<10} {line}"


def _parted(found: Divergence) -> Iterator[str]:
    where = found.location or "nowhere in your code"
    if found.forward_location and found.forward_location != found.location:
        called = f", called at {found.location}" if found.location else ""
        where = f"{found.forward_location}, in its backward{called}"
    yield from _labelled("parted at", f"op {found.index:,} {found.op}   {where}: {read(found)}")
    if found.kind in ("path", "length"):
        yield from (f"  {'':<10}   {line}" for line in _sides(found))


def read(found: Divergence) -> str:
    """What a divergence says, in a few words."""
    if found.kind != "input":
        return _READ[found.kind]
    if found.random:
        return "its generator stood elsewhere"
    if found.op.startswith("record "):
        return "no op before it differs"
    if found.op.startswith("from "):
        return "it came from outside torch, and differs"
    return _READ["input"]


def _sides(found: Divergence) -> Iterator[str]:
    """Both sides, where the ops themselves differ."""
    for name, ops in (("one run", found.context), ("other", found.other_context)):
        names = [f"[{op.name}]" if n == found.index else op.name for n, op in enumerate(ops, found.start)]
        yield f"{name:<8} {' '.join(names)}{' and no more' if len(ops) <= found.index - found.start else ''}"


def _cause(found: Finding) -> Iterator[str]:
    at = f" at {found.location}" if found.location else ""
    yield from _labelled("cause", f"{found.name}{at}")
    yield from _labelled("", found.explanation)
    if found.fix:
        yield from _labelled("fix", found.fix)
    if found.ruled_out:
        yield from _labelled("ruled out", ", ".join(found.ruled_out))
