"""The options, one row each, with default, allowed values and help; and the settings of a session."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_repro.core.plan.plan import Plan

Axes = dict[str, object]
Profiles = dict[str, str]
Seed = int  # "random" is resolved when the settings are read
Seeds = tuple[int, ...] | None
Names = tuple[str, ...]


class Option:
    """``--repro-NAME`` on the command line and ``repro_NAME`` in the ini file.

    Attributes:
        group: Its group in ``pytest --help``: runs, comparison, diagnosis, reports or gate.
        parser: Name of its function in :mod:`.parsers`, which is imported only once an option has a value.
        metavar: Shown after ``=``; None for a flag.
        on_command_line: Whether it is on the command line, or in the ini file only.
        bare_value: Value of the option without ``=``; None if it needs one.
        field: Of :class:`Settings`.
        annotation: Of its *field*; decides the type in the ini file.
        name: On the command line, after ``--repro-``.
        key: Name in the ini file, and of the parsed option.
        argparse_keywords: Of ``ArgumentParser.add_argument``, on the command line and in a profile.
    """

    field: str
    annotation: str
    name: str
    key: str
    argparse_keywords: dict[str, Any]

    def __init__(
        self,
        group: str,
        default: Any,
        parser: str,
        help: str,
        metavar: str | None = None,
        on_command_line: bool = True,
        bare_value: Any = None,
    ) -> None:
        self.group, self.default, self.parser, self.help, self.metavar = group, default, parser, help, metavar
        self.on_command_line, self.bare_value = on_command_line, bare_value

    def __set_name__(self, owner: type, name: str) -> None:
        self.field, self.annotation = name, owner.__annotations__[name]
        self.name, self.key = name.replace("_", "-"), f"repro_{name}"
        self.argparse_keywords = {"dest": self.key, "help": self.help, **self._get_argument_keywords()}

    @property
    def parse(self) -> Callable[[object], Any]:
        """Converts a value from either; raises BadArgument if it is invalid."""
        from pytest_repro.plugin.config import parsers

        parse: Callable[[object], Any] = getattr(parsers, self.parser)
        return parse

    def parse_argument(self, text: str) -> Any:
        """Converts a value from the command line; raises ArgumentTypeError if it is invalid."""
        from pytest_repro.core.plan.arguments import BadArgument

        try:
            return self.parse(text)
        except BadArgument as error:
            raise ArgumentTypeError(f"{error.value!r}: {error.allowed}") from None

    def _get_argument_keywords(self) -> dict[str, Any]:
        if self.metavar is None:
            return {"action": "store_true"}
        action = "append" if self.annotation == "Axes" else "store"
        keywords = {"action": action, "type": self.parse_argument, "metavar": self.metavar}
        return keywords if self.bare_value is None else {**keywords, "nargs": "?", "const": self.bare_value}


def _option(group: str, default: Any, parser: str, metavar: str, help: str, bare: Any = None) -> Any:
    return Option(group, default, parser, help, metavar, bare_value=bare)


def _flag(group: str, help: str) -> Any:
    return Option(group, False, "parse_flag", help)


def _ini_key(group: str, default: Any, parser: str, help: str) -> Any:
    return Option(group, default, parser, help, on_command_line=False)


class Settings:  # a dataclass of this size takes 2 ms at every start of pytest
    """A value for each option, from the command line or else the ini file.

    Attributes:
        vary: Axis → values, from the command line.
        vary_ini: The same from the ini file, which the marker overrides.
        ini_plan: Fields of a plan from the ini file.
        command_line: Fields of a plan from the command line, which override the marker.
        is_seed_random: Whether the seed was drawn for this session.
    """

    profile: str = _option(
        "runs", "", "parse_path", "NAME", "add the options of this profile in repro_profiles"
    )
    profiles: Profiles = _ini_key(
        "runs", {}, "parse_profiles", "profiles, a line each: nightly: --repro-runs=5"
    )
    runs: int = _option("runs", 2, "parse_runs", "N", "runs of each marked test; 1 compares nothing")
    seed: Seed = _option("runs", 0, "parse_seed", "N|random", "seed of every generator; random draws one")
    seeds: Seeds = _option(
        "runs", None, "parse_seeds", "20|0-99|1,2,5", "run each marked test once per seed; 0: none"
    )
    all: bool = _flag("runs", "audit: treat every collected test as marked")
    deterministic: bool | str = _option(
        "runs",
        True,
        "parse_deterministic",
        "true|warn|false",
        "deterministic algorithms; false audits with races",
    )
    vary: Axes = _option(
        "runs", {}, "parse_vary_lines", "AXIS[=V,V]", "vary an axis in every marked test: threads=1,2"
    )
    replay: str | None = _option(
        "runs", None, "parse_replay", "record|PATH", "give every run the same external input"
    )
    noise: int = _option(
        "runs", 0, "parse_noise", "N", "also run tests N (5) times, seeds or algorithms free", bare=5
    )
    cost: bool = _flag("runs", "also time tests without determinism; report the ratio")
    control: bool = _ini_key("runs", False, "parse_flag", "seed check: warn if another seed changes nothing")
    companion_timeout: float = _ini_key(
        "runs", 300.0, "parse_seconds", "seconds to wait for another interpreter"
    )
    capture: str = _option(
        "comparison", "auto", "parse_capture", "auto|recorded|locals|strict", "what is compared"
    )
    unseeded: str = _option(
        "comparison", "allow", "parse_unseeded", "allow|warn|fail", "draws that only the plugin seeded"
    )
    update: bool = _flag("comparison", "write golden file entries of tests that ran and passed")
    prune: bool = _flag("comparison", "remove golden file entries of tests that are gone")
    baseline_kb: int = _ini_key(
        "comparison", 64, "parse_kilobytes", "largest value in golden files, in kilobytes"
    )
    keep_mb: int = _ini_key(
        "comparison", 512, "parse_megabytes", "megabytes of recorded values kept in memory"
    )
    trace: bool = _flag("diagnosis", "record the ops of every run, not only after a mismatch")
    diagnose: str = _option(
        "diagnosis",
        "auto",
        "parse_diagnose",
        "WHEN",
        "look for causes: auto (if a run took < 10 s), always, never",
    )
    diagnose_seconds: float = _ini_key(
        "diagnosis", 60.0, "parse_seconds", "seconds to spend on the cause of one mismatch"
    )
    packages: Names = _ini_key(
        "diagnosis", (), "parse_names", "installed packages that are the user's own code, too"
    )
    json: str | None = _option("reports", None, "parse_path", "PATH", "write the JSON report to PATH")
    html: str | None = _option(
        "reports", None, "parse_path", "PATH", "write the HTML report, a single page, to PATH"
    )
    shard: str = _option(
        "reports", "", "parse_shard", "I/N", "which of N shards this session is, for the JSON report: 3/8"
    )
    docs_url: str = _ini_key(
        "reports", "", "parse_docs_url", "address of the documentation that failures link to"
    )
    require: int = _option("gate", 0, "parse_tests", "N", "fail if fewer than N marked tests were compared")

    vary_ini: Axes
    ini_plan: dict[str, Any]
    command_line: dict[str, Any]
    is_seed_random: bool

    def __init__(self, **values: Any) -> None:
        vars(self).update(values)

    @cached_property
    def defaults(self) -> Plan:
        """Plan of a test whose marker has no arguments, from the ini file."""
        from pytest_repro.core.plan.plan import Plan  # 1 ms that the start of pytest does not need

        return Plan(**self.ini_plan)


OPTIONS = tuple(row for row in vars(Settings).values() if isinstance(row, Option))
