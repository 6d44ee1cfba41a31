"""``pytest --help`` and ``pytest --fixtures``."""

from __future__ import annotations

import re

from pytest_repro import Repro
from pytest_repro.plugin.config.settings import OPTIONS
from tests.conftest import Project


def test_options_are_in_groups(project: Project) -> None:
    text = project("", "--help").text
    groups = re.findall(r"^reproducibility: (\w+):$", text, re.MULTILINE)
    assert groups == ["runs", "comparison", "diagnosis", "reports", "gate"]
    shown = re.findall(r"^  --repro-([\w-]+)", text, re.MULTILINE)
    assert shown == [option.name for option in OPTIONS if option.on_command_line]


def test_every_option_has_a_parser() -> None:
    assert [option.name for option in OPTIONS if not callable(option.parse)] == []


def test_the_help_of_the_fixture_names_its_members(project: Project) -> None:
    text = project("", "--fixtures").text
    shown = text[text.index("repro -- ") : text.index("seeded -- ")]
    members = [name for name in dir(Repro) if not name.startswith("_")]
    assert [name for name in members if not re.search(rf"\b{name}\b", shown)] == []
