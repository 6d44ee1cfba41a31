"""The settings of a session: each option is one row, with its default, allowed values and help."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, NoReturn

import pytest

from pytest_repro.core.plan.arguments import BadArgument, validate_capture, validate_unseeded
from pytest_repro.core.plan.plan import Plan
from pytest_repro.plugin.config.parsers import (
    count_parser,
    parse_deterministic,
    parse_diagnose,
    parse_names,
    parse_noise,
    parse_path,
    parse_replay,
    parse_runs,
    parse_seconds,
    parse_seed,
    parse_seeds,
    parse_vary_lines,
)
from pytest_repro.plugin.pytest_internals import get_raw_ini

Axes = dict[str, object]
Parse = Callable[[object], Any]
Seeds = tuple[int, ...] | None
Names = tuple[str, ...]


class Option(NamedTuple):
    """``--repro-NAME`` on the command line and ``repro_NAME`` in the ini file.

    Attributes:
        parse: Converts a value from either; raises BadArgument if it is invalid.
        metavar: Shown after ``=``; None for a flag.
        on_command_line: Whether it is on the command line, or in the ini file only.
        bare_value: Value of the option without ``=``; None if it needs one.
        annotation: Of its *field* of :class:`Settings`; decides the type in the ini file.
    """

    default: Any
    parse: Parse
    help: str
    metavar: str | None = None
    on_command_line: bool = True
    bare_value: Any = None
    field: str = ""
    annotation: str = ""

    @property
    def name(self) -> str:
        """Name on the command line, after ``--repro-``."""
        return self.field.replace("_", "-")

    @property
    def key(self) -> str:
        """Name in the ini file, and of the parsed option."""
        return f"repro_{self.field}"


def _option(default: Any, parse: Parse, metavar: str, help: str, bare: Any = None) -> Any:
    return Option(default, parse, help, metavar, bare_value=bare)


def _flag(help: str) -> Any:
    return Option(False, bool, help)


def _ini_key(default: Any, parse: Parse, help: str) -> Any:
    return Option(default, parse, help, on_command_line=False)


class Settings:  # a dataclass of this size takes 2 ms at every start of pytest
    """A value for each option, from the command line or else the ini file.

    Attributes:
        vary: Axis → values, from the command line.
        vary_ini: The same from the ini file, which the marker overrides.
        defaults: Plan of a test whose marker has no arguments, from the ini file.
        command_line: Fields of a plan from the command line, which override the marker.
        is_seed_random: Whether the seed was drawn for this session.
    """

    runs: int = _option(2, parse_runs, "N", "runs of each marked test; 1 compares nothing")
    seed: int | str = _option(0, parse_seed, "N|random", "seed of every generator; random draws one")
    seeds: Seeds = _option(None, parse_seeds, "20|0-99|1,2,5", "run each marked test once per seed; 0: none")
    all: bool = _flag("audit: treat every collected test as marked")
    capture: str = _option("auto", validate_capture, "auto|recorded|locals|strict", "what is compared")
    deterministic: bool | str = _option(
        True, parse_deterministic, "true|warn|false", "deterministic algorithms; false audits with races"
    )
    vary: Axes = _option({}, parse_vary_lines, "AXIS[=V,V]", "vary an axis in every marked test: threads=1,2")
    unseeded: str = _option(
        "allow", validate_unseeded, "allow|warn|fail", "draws that only the plugin seeded"
    )
    trace: bool = _flag("record the ops of every run, not only after a mismatch")
    diagnose: str = _option("auto", parse_diagnose, "WHEN", "look for causes: auto (<10 s), always, never")
    diagnose_seconds: float = _ini_key(60.0, parse_seconds, "seconds to spend on the cause of one mismatch")
    replay: str | None = _option(None, parse_replay, "record|PATH", "give every run the same external input")
    update: bool = _flag("write golden file entries of tests that ran and passed")
    prune: bool = _flag("remove golden file entries of tests that are gone")
    baseline_kb: int = _ini_key(64, count_parser("kilobytes"), "largest value in golden files, in kilobytes")
    json: str | None = _option(None, parse_path, "PATH", "write the JSON report to PATH")
    html: str | None = _option(None, parse_path, "PATH", "write the HTML report, a single page, to PATH")
    require: int = _option(0, count_parser("tests"), "N", "fail if fewer than N marked tests were compared")
    cost: bool = _flag("also time tests without determinism; report the ratio")
    noise: int = _option(0, parse_noise, "N", "also run tests N (5) times, seeds or algorithms free", bare=5)
    control: bool = _ini_key(False, bool, "seed check: warn if another seed changes nothing")
    companion_timeout: float = _ini_key(300.0, parse_seconds, "seconds to wait for another interpreter")
    keep_mb: int = _ini_key(512, count_parser("megabytes"), "megabytes of recorded values kept in memory")

    packages: Names = _ini_key((), parse_names, "installed packages that are the user's own code, too")

    vary_ini: Axes
    defaults: Plan
    command_line: dict[str, Any]
    is_seed_random: bool

    def __init__(self, **values: Any) -> None:
        vars(self).update(values)

    @property
    def plan(self) -> Plan:
        """The plan of a test whose marker has no arguments."""
        return self.defaults._replace(**self.command_line)


OPTIONS = tuple(
    row._replace(field=name, annotation=Settings.__annotations__[name])
    for name, row in vars(Settings).items()
    if isinstance(row, Option)
)

_PLAN_FIELDS = ("runs", "capture", "deterministic", "seeds", "seed", "unseeded")

# pytest reads "int" and "float" since 8.4, and unions, which native TOML values need, after 9.0. Before,
# keys are read as "string" and converted here.
_INI_TYPES: dict[str, list[Any]] = {
    "int": ["int"],
    "float": [float | int, "float"],
    "int | str": [int | str],
    "bool | str": [str | bool],
    "bool": ["bool"],
    "Axes": ["linelist"],
    "Names": ["args"],
}


def add_options(parser: pytest.Parser) -> None:
    """Adds every row of :data:`.OPTIONS` to *parser*."""
    group = parser.getgroup("repro", "reproducibility (pytest-repro)")
    for option in OPTIONS:
        _add_ini_key(parser, option)
        if not option.on_command_line:
            continue
        arguments: dict[str, Any] = {"dest": option.key, "default": None, "help": option.help}
        if option.metavar is None:
            arguments["action"] = "store_true"
        else:
            action = "append" if option.annotation == "Axes" else "store"
            parse = partial(_parse_argument, option)
            arguments |= {"action": action, "type": parse, "metavar": option.metavar}
        if option.bare_value is not None:
            arguments |= {"nargs": "?", "const": option.bare_value}
        group.addoption(f"--repro-{option.name}", **arguments)


def _parse_argument(option: Option, text: str) -> Any:
    try:
        return option.parse(text)
    except BadArgument as error:
        raise argparse.ArgumentTypeError(f"{error.value!r}: {error.allowed}") from None


def _add_ini_key(parser: pytest.Parser, option: Option) -> None:
    for ini_type in [*_INI_TYPES.get(option.annotation, []), "string"]:
        try:
            parser.addini(option.key, option.help, type=ini_type, default=None)
        except (AssertionError, TypeError, ValueError):
            continue
        return


def read_settings(config: pytest.Config) -> Settings:
    """The settings of this session.

    Raises:
        pytest.UsageError: A value in the ini file is invalid; the message names it and what is allowed.
    """
    parsed = {option.field: config.getoption(option.key, None) for option in OPTIONS}
    command_line = {name: value for name, value in parsed.items() if value is not None}
    ini = {option.field: _read_ini_key(config, option) for option in OPTIONS}
    values = {**ini, **command_line}
    values["seed"], is_seed_random = _resolve_seed(config, values["seed"])
    values["vary"] = {axis: v for axes in command_line.get("vary", ()) for axis, v in axes.items()}
    ini_seed = values["seed"] if ini["seed"] == "random" else ini["seed"]
    return Settings(
        **values,
        vary_ini=ini["vary"],
        defaults=Plan(**{name: ini[name] for name in _PLAN_FIELDS} | {"seed": ini_seed}),
        command_line={name: values[name] for name in _PLAN_FIELDS if name in command_line},
        is_seed_random=is_seed_random,
    )


def _read_ini_key(config: pytest.Config, option: Option) -> Any:
    problem = ""
    try:
        value = config.getini(option.key)
    except (TypeError, ValueError, pytest.UsageError) as error:
        value = get_raw_ini(config, option.key)
        if not (option.annotation.endswith(" | str") and isinstance(value, int)):
            problem = str(error)
    if value is None or value == "" or value == []:
        return option.default
    try:
        parsed = option.parse(value)
    except BadArgument as error:
        _refuse(option, f"{option.key} = {error.value!r}: {error.allowed}")
    if problem:  # pytest cannot read the value as its type, which the parser allows
        _refuse(option, f"{option.key}: {problem}")
    return parsed


def _refuse(option: Option, reason: str) -> NoReturn:
    raise pytest.UsageError(f"ini file: {reason} ({option.help})")


def _resolve_seed(config: pytest.Config, seed: int | str) -> tuple[int, bool]:
    """The seed, and whether it is random: workers of pytest-xdist take their controller's."""
    if seed != "random":
        return int(seed), False
    shared = getattr(config, "workerinput", {}).get("repro_seed")
    return int.from_bytes(os.urandom(4), "little") if shared is None else int(shared), True
