"""What counts as the user's code in a session: companions and workers find out by themselves, alike."""

from __future__ import annotations

import pytest

from pytest_repro.interpose.code_owner import UserCode, find_user_code, set_user_code
from pytest_repro.plugin.stash import SETTINGS


def set_session_user_code(session: pytest.Session) -> None:
    """Sets what counts as the user's code until *session* ends."""
    config = session.config
    plugins = (str(getattr(plugin, "__file__", "")) for plugin in config.pluginmanager.get_plugins())
    conftests = [file for file in plugins if file.endswith("conftest.py")]
    collected = dict.fromkeys([*(str(item.path) for item in session.items), *conftests])
    user_code = UserCode(str(config.rootpath), tuple(collected), config.stash[SETTINGS].packages)
    previous = set_user_code(user_code)
    find_user_code()

    def restore() -> None:
        set_user_code(previous)

    config.add_cleanup(restore)


def warn_of_unknown_packages(config: pytest.Config) -> None:
    """Warns of names in ``repro_packages`` that are neither a distribution nor an import package."""
    from pytest_repro.interpose.installed_code import find_import_package, iter_distributions, normalize_name

    known = {distribution.name for distribution in iter_distributions()}
    for name in config.stash[SETTINGS].packages:
        if normalize_name(name) not in known and not find_import_package(name):
            text = f"repro_packages: no distribution or import package named {name!r} is installed"
            config.issue_config_time_warning(pytest.PytestConfigWarning(text), stacklevel=2)
