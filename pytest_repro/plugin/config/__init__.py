"""Options and markers, resolved to settings and plans; this file adds the options and reads the settings."""

from __future__ import annotations

import os
from itertools import groupby
from operator import attrgetter
from typing import Any, NoReturn

import pytest

from pytest_repro.plugin.config.settings import OPTIONS, Option, Settings

_PLAN_FIELDS = ("runs", "capture", "deterministic", "seeds", "seed", "unseeded")

# pytest reads "int" and "float" since 8.4, and unions, which native TOML values need, after 9.0. Before,
# keys are read as "string" and converted here.
_INI_TYPES: dict[str, list[Any]] = {
    "int": ["int"],
    "float": [float | int, "float"],
    "Seed": [int | str],
    "bool | str": [str | bool],
    "bool": ["bool"],
    "Axes": ["linelist"],
    "Profiles": ["linelist"],
    "Names": ["args"],
}


def add_options(parser: pytest.Parser) -> None:
    """Adds every row of :data:`.OPTIONS` to *parser*."""
    for name, options in groupby(OPTIONS, attrgetter("group")):
        group = parser.getgroup(f"repro-{name}", f"reproducibility: {name}")
        for option in options:
            _add_ini_key(parser, option)
            if option.on_command_line:
                group.addoption(f"--repro-{option.name}", default=None, **option.argparse_keywords)


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
    ini = {option.field: _read_ini_key(config, option) for option in OPTIONS}
    given = {option.field: config.getoption(option.key, None) for option in OPTIONS}
    given = {name: value for name, value in given.items() if value is not None}
    profile = {}
    if name := given.get("profile", ini["profile"]):
        from pytest_repro.plugin.config.profile import read_profile

        profile = read_profile(ini["profiles"], name)
    command_line = {**profile, **given}
    values = {**ini, **command_line}
    values["seed"], is_seed_random = _resolve_seed(config, values["seed"])
    varied = [*profile.get("vary", ()), *given.get("vary", ())]
    values["vary"] = {axis: value for axes in varied for axis, value in axes.items()}
    ini_seed = values["seed"] if ini["seed"] == "random" else ini["seed"]
    return Settings(
        **values,
        vary_ini=ini["vary"],
        ini_plan={name: ini[name] for name in _PLAN_FIELDS} | {"seed": ini_seed},
        command_line={name: values[name] for name in _PLAN_FIELDS if name in command_line},
        is_seed_random=is_seed_random,
    )


def _read_ini_key(config: pytest.Config, option: Option) -> Any:
    problem = ""
    try:
        value = config.getini(option.key)
    except (TypeError, ValueError, pytest.UsageError) as error:
        from pytest_repro.plugin.pytest_internals import get_raw_ini

        value = get_raw_ini(config, option.key)
        if not (option.annotation in ("Seed", "bool | str") and isinstance(value, int)):
            problem = str(error)
    if value is None or value == "" or value == []:
        return option.default
    from pytest_repro.core.plan.arguments import BadArgument

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
