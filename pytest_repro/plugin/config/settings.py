"""The settings of a session, from command line and ini file."""

from __future__ import annotations

from typing import Any, NamedTuple

from pytest_repro.core.plan.plan import Plan


class Settings(NamedTuple):
    """The settings of a session.

    Attributes:
        defaults: Plan of a test whose marker says nothing, from the ini file or the defaults.
        command_line: Values from the command line, which win over the marker.
        audit: Whether every test counts as marked.
        is_seed_random: Whether the seed was drawn for this session.
        json: Path of the JSON report.
        keep_mb: Megabytes of values kept in memory.
        vary: Axis → values, from the command line.
        vary_ini: The same from the ini file, below the marker.
        companion_timeout: Seconds that a companion may be silent.
        trace: Whether the ops of every run are recorded.
        diagnose: When to look for the cause of a mismatch: ``"auto"``, ``"always"``, ``"never"``.
        diagnose_seconds: Time limit of a diagnosis.
        replay: ``"record"``, the path of a log to replay, or None.
        update: Whether entries of golden files are written.
        prune: Whether entries of tests that no longer exist are removed.
        baseline_kb: Kilobytes up to which a golden file holds a value itself.
        require: Number of tests that must be compared, or the session fails.
        control: Whether each test has a seed check.
        html: Path of the HTML report.
        cost: Whether each test is also timed with determinism controls off.
        noise: Runs of each variant of the noise matrix; 0 for none.
    """

    defaults: Plan
    command_line: dict[str, Any]
    audit: bool
    is_seed_random: bool
    json: str | None
    keep_mb: int
    vary: dict[str, object]
    vary_ini: dict[str, object]
    companion_timeout: float
    trace: bool = False
    diagnose: str = "auto"
    diagnose_seconds: float = 60.0
    replay: str | None = None
    update: bool = False
    prune: bool = False
    baseline_kb: int = 64
    require: int = 0
    control: bool = False
    html: str | None = None
    cost: bool = False
    noise: int = 0

    @property
    def plan(self) -> Plan:
        """The plan of a test whose marker says nothing."""
        return self.defaults._replace(**self.command_line)
