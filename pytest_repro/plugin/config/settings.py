"""What a session was asked for, by command line and ini file."""

from __future__ import annotations

from typing import Any, NamedTuple

from pytest_repro.core.plan.plan import Plan


class Settings(NamedTuple):
    """What this session was asked for.

    Attributes:
        defaults: What holds for a test whose marker says nothing: ini file, or default.
        command_line: What the command line says: it wins over the marker.
        audit: Whether every test is taken as marked.
        is_seed_random: Whether the seed was drawn for this session.
        json: Where the JSON report goes.
        keep_mb: Megabytes of values kept in memory.
        vary: Axis → values, from the command line.
        vary_ini: The same from the ini file, below the marker.
        companion_timeout: Seconds that a companion may be silent.
        trace: Whether the ops of every run are recorded.
        diagnose: When the cause of a mismatch is looked for: ``"auto"``, ``"always"``, ``"never"``.
        diagnose_seconds: For how long.
        replay: ``"record"``, the path of a log that runs are fed from, or None.
        update: Whether entries of golden files are written.
        prune: Whether entries of tests that are gone are removed.
        baseline_kb: Kilobytes up to which a value is stored itself.
        require: How many tests must have been compared, or the session fails.
        control: Whether each test is run once more with another seed.
        html: Where the HTML report goes.
        cost: Whether each test is also timed with determinism controls off.
        noise: Runs of each variant of the noise matrix; 0 makes none.
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
