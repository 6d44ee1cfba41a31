"""The table of options: command line, ini file, default, and allowed values."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import pytest

from pytest_repro.core.plan.plan import (
    CAPTURES,
    MAX_SEED,
    BadArgument,
    Plan,
    validate_capture,
)
from pytest_repro.plugin.config import parsers
from pytest_repro.plugin.config.settings import Settings
from pytest_repro.plugin.pytest_internals import get_raw_ini


class Option(NamedTuple):
    """A row: ``--repro-NAME`` on the command line and ``repro_NAME`` in the ini file.

    Attributes:
        name: With dashes.
        default: Used if neither gives a value.
        parse: Checks a value from either; raises :class:`BadArgument`.
        help: Text in ``pytest --help``.
        metavar: Shown after ``=``; None for a flag.
        on_command_line: Whether it is on the command line, or in the ini file only.
        ini_type: Type in the ini file.
        bare_value: Value of the option without ``=``; None if it needs one.
        parse_each: Checks one value of an option that may be repeated.
    """

    name: str
    default: Any
    parse: Callable[[object], Any]
    help: str
    metavar: str | None = None
    on_command_line: bool = True
    ini_type: str = "string"
    parse_each: Callable[[object], Any] | None = None
    bare_value: Any = None

    @property
    def key(self) -> str:
        """Name in the ini file, and of the parsed option."""
        return f"repro_{self.name.replace('-', '_')}"


_SEED_HELP = f"seed of every generator, 0 to {MAX_SEED}, or 'random'"

_VARY_HELP = "vary an axis in every marked test: process, threads=1,2, device=cpu,cuda, …, or stress"
_DIAGNOSE_HELP = "look for the cause of a mismatch: auto (where a run took under 10 s), always, never"
_DIAGNOSE_SECONDS_HELP = "seconds in which the cause of one test's mismatch is looked for"
_REPLAY_HELP = "feed runs what the first took from outside (record: in repro-replay.json), or a log"
_UPDATE_HELP = "write the golden files' entries of tests marked baseline=True that pass, and only those"
_BASELINE_HELP = "kilobytes up to which a golden file holds a value itself, beside its digest"
_REQUIRE_HELP = "fail the session when fewer than N marked tests were really compared"
_CONTROL_HELP = "run once more with another seed, and warn when nothing at all changed"
_COST_HELP = "also time each marked test with determinism controls off, and report the ratio"
_NOISE_HELP = (
    "also run each marked test N times (5) with seeds and algorithms free or fixed: which noise it has"
)
_SEEDS_HELP = "run each marked test once per seed, and report how it scatters: 20, 0-99 or 1,2,5; 0 = none"
_TIMEOUT_HELP = "seconds after which another interpreter that gives no answer is given up"

OPTIONS: tuple[Option, ...] = (
    Option(
        "runs", 2, parsers.parse_runs, "runs of each marked test; 1: compare nothing", "N", ini_type="int"
    ),
    Option("seed", 0, parsers.parse_seed, _SEED_HELP, "N|random", ini_type="int|string"),
    Option("seeds", None, parsers.parse_seeds, _SEEDS_HELP, "SEEDS"),
    Option("all", False, bool, "audit: treat every collected test as marked", ini_type="bool"),
    Option("capture", "auto", validate_capture, f"what is observed: {', '.join(CAPTURES)}", "WHAT"),
    Option(
        "vary",
        {},
        parsers.parse_vary_lines,
        _VARY_HELP,
        "AXIS[=V,V]",
        ini_type="linelist",
        parse_each=parsers.parse_vary,
    ),
    Option(
        "trace", False, bool, "record the ops of every run, not only to explain a mismatch", ini_type="bool"
    ),
    Option("diagnose", "auto", parsers.parse_diagnose, _DIAGNOSE_HELP, "WHEN"),
    Option(
        "diagnose-seconds",
        60.0,
        parsers.parse_diagnose_seconds,
        _DIAGNOSE_SECONDS_HELP,
        on_command_line=False,
        ini_type="float",
    ),
    Option("replay", None, parsers.parse_replay, _REPLAY_HELP, "record|PATH"),
    Option("update", False, bool, _UPDATE_HELP, ini_type="bool"),
    Option("prune", False, bool, "remove entries of tests that are gone from golden files", ini_type="bool"),
    Option(
        "baseline-kb", 64, parsers.parse_baseline_kb, _BASELINE_HELP, on_command_line=False, ini_type="int"
    ),
    Option("json", None, parsers.parse_path, "write the JSON report to PATH", "PATH"),
    Option(
        "html", None, parsers.parse_path, "write the HTML report to PATH: one page, drawings included", "PATH"
    ),
    Option("require", 0, parsers.parse_require, _REQUIRE_HELP, "N", ini_type="int"),
    Option("cost", False, bool, _COST_HELP, ini_type="bool"),
    Option("noise", 0, parsers.parse_noise, _NOISE_HELP, "N", ini_type="int", bare_value=5),
    Option("control", False, bool, _CONTROL_HELP, on_command_line=False, ini_type="bool"),
    Option(
        "companion-timeout",
        300.0,
        parsers.parse_seconds,
        _TIMEOUT_HELP,
        on_command_line=False,
        ini_type="float",
    ),
    Option(
        "keep-mb",
        512,
        parsers.parse_keep_mb,
        "MB of recorded values kept in memory",
        on_command_line=False,
        ini_type="int",
    ),
)


def _make_argparse_type(option: Option) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return (option.parse_each or option.parse)(text)
        except BadArgument as error:
            raise argparse.ArgumentTypeError(f"{error.value!r}: {error.allowed}") from None

    return parse


def add_options(parser: pytest.Parser) -> None:
    """Adds every row of :data:`OPTIONS` to *parser*."""
    group = parser.getgroup("repro", "reproducibility (pytest-repro)")
    for option in OPTIONS:
        _add_ini(parser, option)
        if not option.on_command_line:
            continue
        how: dict[str, Any] = {"dest": option.key, "default": None, "help": option.help}
        if option.metavar is None:
            group.addoption(f"--repro-{option.name}", action="store_true", **how)
        else:
            kind, metavar = _make_argparse_type(option), option.metavar
            action = "append" if option.parse_each else "store"
            if option.bare_value is not None:
                how |= {"nargs": "?", "const": option.bare_value}
            group.addoption(f"--repro-{option.name}", type=kind, metavar=metavar, action=action, **how)


def _add_ini(parser: pytest.Parser, option: Option) -> None:
    """Adds the ini key with its type, so that native TOML values work too.

    ``int`` exists from pytest 8.4 on, unions of types after 9.0; before, strings are converted here.
    """
    kinds: dict[str, list[Any]] = {
        "int": ["int"], "float": [float | int, "float"], "int|string": [int | str], "bool": ["bool"],
        "linelist": ["linelist"],
    }  # fmt: skip
    for kind in [*kinds.get(option.ini_type, []), "string"]:
        try:
            parser.addini(option.key, option.help, type=kind, default=None)
        except (AssertionError, TypeError, ValueError):
            continue
        return


def read_settings(config: pytest.Config) -> Settings:
    """The settings of this session.

    Raises:
        pytest.UsageError: A value in the ini file is invalid; the message names it and what is allowed.
    """
    commanded = {
        option.name: config.getoption(option.key, None) for option in OPTIONS if option.on_command_line
    }
    ini = {option.name: _read_ini(config, option) for option in OPTIONS}
    both = {name: ini[name] if commanded.get(name) is None else commanded[name] for name in ini}
    seed, drawn = _resolve_seed(config, both["seed"])
    wins = {n: commanded[n] for n in ("runs", "capture", "seeds") if commanded[n] is not None}
    if commanded["seed"] is not None:
        wins["seed"] = seed
    ini_seed = 0 if ini["seed"] == "random" and commanded["seed"] is not None else ini["seed"]
    defaults = Plan(
        ini["runs"], seed if ini_seed == "random" else ini_seed, capture=ini["capture"], seeds=ini["seeds"]
    )
    return Settings(
        defaults, wins, bool(both["all"]), drawn, both["json"], ini["keep-mb"],
        dict(commanded["vary"] or ()), ini["vary"], ini["companion-timeout"],
        bool(both["trace"]), both["diagnose"], ini["diagnose-seconds"], both["replay"],
        bool(both["update"]), bool(both["prune"]), ini["baseline-kb"], both["require"], ini["control"],
        both["html"], bool(both["cost"]), both["noise"],
    )  # fmt: skip


def _read_ini(config: pytest.Config, option: Option) -> Any:
    try:
        value = config.getini(option.key)
    except (TypeError, ValueError, pytest.UsageError) as error:
        value = get_raw_ini(config, option.key)
        if option.ini_type != "int|string" or not isinstance(value, int):
            _refuse_unreadable(option, value, error)
    if value is None or value == "" or value == []:
        return option.default
    try:
        return option.parse(value)
    except BadArgument as error:
        _refuse(option.key, error.value, error.allowed, option)


def _refuse_unreadable(option: Option, value: object, error: Exception) -> NoReturn:
    """Refuses a value that pytest could not read as its type, with what is allowed if known."""
    try:
        option.parse(value)
    except BadArgument as bad:
        _refuse(option.key, bad.value, bad.allowed, option)
    _refuse(option.key, None, str(error), option)


def _refuse(key: str, value: object, reason: str, option: Option) -> NoReturn:
    said = f"{key} = {value!r}: {reason}" if value is not None else f"{key}: {reason}"
    raise pytest.UsageError(f"ini file: {said} ({option.help})")


def _resolve_seed(config: pytest.Config, seed: int | str) -> tuple[int, bool]:
    """The seed, and whether it is random: workers of pytest-xdist take their controller's."""
    if seed != "random":
        return int(seed), False
    shared = getattr(config, "workerinput", {}).get("repro_seed")
    if shared is not None:
        return int(shared), True
    import os

    return int.from_bytes(os.urandom(4), "little"), True
