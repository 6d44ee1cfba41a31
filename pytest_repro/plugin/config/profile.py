"""Reads the options that a profile in the ini file adds to the command line."""

from __future__ import annotations

import argparse
import shlex
from typing import Any, NoReturn

import pytest

from pytest_repro.plugin.config.settings import OPTIONS


class _ProfileParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def read_profile(profiles: dict[str, str], name: str) -> dict[str, Any]:
    """The values of the options in the profile *name*, by field.

    Raises:
        pytest.UsageError: There is no such profile, or one of its options is invalid.
    """
    if name not in profiles:
        known = f"known are {', '.join(profiles)}" if profiles else "repro_profiles in the ini file is empty"
        raise pytest.UsageError(f"--repro-profile={name}: there is no such profile; {known}")
    parser = _ProfileParser(add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for option in OPTIONS:
        if option.on_command_line and option.field != "profile":
            parser.add_argument(f"--repro-{option.name}", **option.argparse_keywords)
    try:
        values = vars(parser.parse_args(shlex.split(profiles[name])))
    except ValueError as error:
        raise pytest.UsageError(f"ini file: repro_profiles: {name}: {error}") from None
    return {option.field: values[option.key] for option in OPTIONS if option.key in values}
