"""Adds the options to pytest, and reads them."""

from __future__ import annotations

import argparse
import os
from functools import partial
from typing import Any, NoReturn

import pytest

from pytest_repro.core.plan.arguments import BadArgument
from pytest_repro.core.plan.plan import Plan
from pytest_repro.plugin.config.settings import OPTIONS, Option, Settings
from pytest_repro.plugin.pytest_internals import get_raw_ini

_PLAN_FIELDS = ("runs", "capture", "seeds", "seed")

# pytest reads "int" and "float" since 8.4, and unions, which native TOML values need, after 9.0. Before,
# keys are read as "string" and converted here.
_INI_TYPES: dict[str, list[Any]] = {
    "int": ["int"],
    "float": [float | int, "float"],
    "int | str": [int | str],
    "bool": ["bool"],
    "Axes": ["linelist"],
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
        if option.annotation != "int | str" or not isinstance(value, int):
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
