"""Suspects: in which order to suspend them, and the findings about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_repro.causes import get_cause, list_cause_names, split_suspect
from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.finding import Finding


def get_cause_name(suspect: str) -> str:
    """The cause word of a suspect: ``"nondeterministic-op"`` of ``"nondeterministic-op:threads"``."""
    return suspect.partition(":")[0]


def describe_suspension(suspect: str) -> str:
    """What suspending it is called."""
    cause, variant = split_suspect(suspect)
    return cause.suspension_names.get(variant, f"{cause.name} suspended")


def rank_suspects(evidence: Evidence) -> list[str]:
    """What can have made runs of one process differ, in the order in which to suspend it."""
    candidates = [cause for cause in map(get_cause, list_cause_names()) if cause.is_candidate(evidence)]
    candidates.sort(key=lambda cause: cause.rank(evidence))
    return [
        f"{cause.name}:{variant}" if variant else cause.name
        for cause in candidates
        for variant in cause.variants
    ]


def build_finding(suspects: Sequence[str], evidence: Evidence, note: str = "") -> Finding:
    """The finding that *suspects* made the difference, together if there are several.

    Args:
        suspects: The first is the cause, the others are named in its explanation.
        evidence: What was known before.
        note: What the experiment adds to the explanation.
    """
    first, *others = suspects
    cause, variant = split_suspect(first)
    finding = cause.build_finding(evidence, variant, note)
    if not others:
        return finding
    also = [cause.build_finding(evidence, variant) for cause, variant in map(split_suspect, others)]
    names = "; and ".join(f"{each.name}{f' at {each.location}' if each.location else ''}" for each in also)
    return replace(
        finding,
        explanation=f"{finding.explanation}; runs are equal only if several are suspended: also {names}",
        fix="; ".join([finding.fix, *(each.fix for each in also if each.fix)]),
    )


def build_unknown_finding(reason: str, evidence: Evidence | None = None) -> Finding:
    """The finding that no cause could be established, and why."""
    return get_cause("unknown").build_finding(evidence or Evidence(), "", reason)
