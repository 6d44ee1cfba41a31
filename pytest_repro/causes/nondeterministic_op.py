"""An op that returns different outputs for equal inputs: its threads race."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

from pytest_repro.causes import Cause
from pytest_repro.core.diagnose import Evidence, Finding

_ALTERNATIVES = {
    "index_put": "or gather with F.embedding or torch.index_select, whose backward adds in order",
    "put_": "or write with index_put_ under deterministic algorithms",
    "take": "or gather with torch.index_select, whose backward adds in order",
    "scatter": "or sort by index and add segments (torch.segment_reduce)",
    "index_add": "or multiply by a one-hot matrix",
    "cumsum": "or cumsum on the CPU",
    "bincount": "or count on the CPU",
}

_SUSPENDED_SWITCHES: dict[str, dict[str, Any]] = {
    "threads": {"threads": 1},
    "algorithms": {
        "deterministic_algorithms": "on", "fill_uninitialized_memory": False, "cudnn.benchmark": False,
        "cudnn.deterministic": True, "mkldnn.deterministic": True,
    },
}  # fmt: skip
"""Variant → switch → its value while suspended."""


class NondeterministicOp(Cause):
    """Threads of an op that add in the order in which they arrive.

    Suspended in two variants: one thread, and deterministic algorithms without filling new memory,
    which torch couples with them.
    """

    variants: ClassVar = ("algorithms", "threads")
    suspension_names: ClassVar = {
        "algorithms": "deterministic algorithms on, memory not filled",
        "threads": "one thread",
    }

    def is_candidate(self, evidence: Evidence) -> bool:
        # One thread removes many differences: without an op that differs it proves nothing.
        return self.has_evidence(evidence)

    def has_evidence(self, evidence: Evidence) -> bool:
        op = evidence.divergence
        return op is not None and op.kind == "value" and not op.random

    def rank(self, evidence: Evidence) -> int:
        return 0 if self.has_evidence(evidence) else 3

    @contextmanager
    def suspend(self, seed: int, variant: str = "algorithms") -> Iterator[None]:
        from pytest_repro.adapters._torch.switches import list_switches

        # Restores nothing else: a flag that the test leaves set must stay set.
        rows = [row for row in list_switches() if row.name in _SUSPENDED_SWITCHES[variant]]
        with ExitStack() as stack:
            for row in rows:
                stack.callback(row.set, row.get())
                row.set(_SUSPENDED_SWITCHES[variant][row.name])
            yield

    def build_finding(self, evidence: Evidence, variant: str = "", detail: str = "") -> Finding:
        name, location, forward = "an op", "", ""
        if (op := evidence.divergence) is not None:
            name, location, forward = op.op, op.location, op.forward_location
        condition = "with deterministic algorithms" if variant == "algorithms" else "with one thread"
        backward = f", in the backward of {forward}," if forward else ""
        explanation = (
            f"{name}{backward} returned different outputs for equal inputs: its threads add in the order in "
            f"which they arrive. {evidence.frequency}; {condition} all were equal"
        )
        fix = "torch.use_deterministic_algorithms(True), which the marker sets unless deterministic=False"
        alternative = next((f"; {text}" for part, text in _ALTERNATIVES.items() if part in name), "")
        return Finding(self.name, forward or location, explanation, fix + alternative)


cause = NondeterministicOp()
