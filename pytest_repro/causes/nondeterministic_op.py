"""The same op on the same inputs gave another output: its threads race."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

from pytest_repro.causes import Cause
from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.finding import Finding

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
"""What is set, by way."""


class NondeterministicOp(Cause):
    """Threads of an op that add in the order in which they come.

    Held in two ways that are told apart: one thread, and deterministic algorithms without the
    filling of fresh memory that torch couples with them.
    """

    variants: ClassVar = ("algorithms", "threads")
    suspension_names: ClassVar = {
        "algorithms": "deterministic algorithms on, memory not filled",
        "threads": "one thread",
    }

    def is_candidate(self, evidence: Evidence) -> bool:
        # One thread makes many a difference go away: without an op that parted it proves nothing.
        return self.has_evidence(evidence)

    def has_evidence(self, evidence: Evidence) -> bool:
        found = evidence.divergence
        return found is not None and found.kind == "value" and not found.random

    @contextmanager
    def suspend(self, seed: int, variant: str = "algorithms") -> Iterator[None]:
        from pytest_repro.adapters._torch.determinism import list_switches

        # Nothing else is put back: a flag that the test leaves set must stay set.
        rows = [row for row in list_switches() if row.name in _SUSPENDED_SWITCHES[variant]]
        with ExitStack() as stack:
            for row in rows:
                stack.callback(row.set, row.get())
                row.set(_SUSPENDED_SWITCHES[variant][row.name])
            yield

    def build_finding(self, evidence: Evidence, variant: str = "", detail: str = "") -> Finding:
        op = evidence.divergence
        name = op.op if op is not None else "an op"
        location = (op.forward_location or op.location) if op is not None else ""
        held = "with deterministic algorithms" if variant == "algorithms" else "with one thread"
        backward = (
            f", in the backward of {op.forward_location}," if op is not None and op.forward_location else ""
        )
        return Finding(
            self.name, location,
            f"{name}{backward} gave another output for equal inputs: its threads add in the order in which "
            f"they come. {evidence.frequency}; {held} all were equal",
            "torch.use_deterministic_algorithms(True), which the marker sets unless told deterministic=False"
            + next((f"; {text}" for part, text in _ALTERNATIVES.items() if part in name), ""),
        )  # fmt: skip


cause = NondeterministicOp()
