"""pytest: the only folder that imports it; hooks of a few lines that call down.

Loaded at every start of pytest, this module imports only what the options need; the rest is imported
once a marked test is collected.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress
from time import time
from typing import Any, NoReturn

import pytest

from pytest_repro import __version__
from pytest_repro.plugin import marker
from pytest_repro.plugin.config import add_options, read_settings
from pytest_repro.plugin.fixtures import deterministic as deterministic
from pytest_repro.plugin.fixtures import repro as repro
from pytest_repro.plugin.fixtures import seeded as seeded
from pytest_repro.plugin.stash import (
    COLLECTED,
    ENVIRONMENT,
    GITHUB,
    GOLDEN_FOLDER,
    GOLDEN_LINES,
    LAUNCHED,
    PLAN,
    ROWS,
    SETTINGS,
    STALE_TESTS,
    STARTED,
    Collected,
)
from pytest_repro.plugin.workerinput import find_launched, is_github, is_reporting

_REFUSAL_KEY = "repro_refused"
_ENVIRONMENT_KEY = "repro_environment"
_STALE_KEY = "repro_stale"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Reads the settings: an invalid one ends the session before it starts."""
    settings = config.stash[SETTINGS] = read_settings(config)
    config.stash[STARTED] = time()
    if launched := find_launched(config):
        config.stash[LAUNCHED] = launched
    if settings.replay is not None:
        from pytest_repro.plugin.run.replay import load_log

        load_log(config)
    if settings.require:
        from pytest_repro.plugin.session.require import register_gate

        register_gate(config)
    if settings.packages and is_reporting(config):
        from pytest_repro.plugin.session.user_code import warn_of_unknown_packages

        warn_of_unknown_packages(config)
    config.stash[GITHUB] = is_github()
    if config.stash[GITHUB] and is_reporting(config):
        from pytest_repro.plugin.session.github import register_github

        register_github(config)
    config.stash[COLLECTED] = Collected()
    marker.pytest_configure(config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Sends the seed of this session to a worker of pytest-xdist, and collects its rows."""
    from pytest_repro.plugin.session.rows import collect_rows

    node.workerinput["repro_seed"] = node.config.stash[SETTINGS].seed
    collect_rows(node.config)


def pytest_report_header(config: pytest.Config) -> str | list[str]:
    """Version, seed and runs in one line."""
    if not is_reporting(config):
        return []
    settings = config.stash[SETTINGS]
    seed, deterministic = settings.seed, settings.deterministic
    drawn = f" (drawn: --repro-seed={seed} gives it again)" if settings.is_seed_random else ""
    runs = f"{settings.runs} runs" if settings.runs > 1 else "1 run, nothing is compared"
    varied = _describe_axes({**settings.vary_ini, **settings.vary})
    replay = f", replay {settings.replay}" if settings.replay else ""
    mode = "" if deterministic is True else f", deterministic {deterministic}".lower()
    profile = f", profile {settings.profile}" if settings.profile else ""
    ranks = f", {config.stash[LAUNCHED][1]} ranks, no diagnosis" if LAUNCHED in config.stash else ""
    shown = f"{profile}, seed {seed}{drawn}, {runs}{ranks}{mode}{varied}{replay}"
    return f"repro: pytest-repro {__version__}{shown}"


def _describe_axes(arguments: dict[str, object]) -> str:
    if not arguments:
        return ""
    from pytest_repro.axes import resolve_axes
    from pytest_repro.reports.failure.runs import format_vary

    with suppress(ValueError):  # collection refuses it: by then torch knows its devices
        return format_vary(resolve_axes(arguments))
    return ""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Notes a test, before others select some: a session that runs one of several shards knows them all."""
    item.config.stash[COLLECTED].tests[item.path].add(item.nodeid)


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Notes that some tests of a module are deselected on purpose."""
    for item in items:
        item.config.stash[COLLECTED].partial_modules.add(item.nodeid.partition("::")[0])


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Notes a module, or one that could not be collected."""
    report = yield
    collected = collector.config.stash[COLLECTED]
    modules = collected.modules if report.passed else collected.partial_modules
    modules.add(report.nodeid.partition("::")[0])
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Plans the marked tests; registers the hooks that they need."""
    settings = session.config.stash[SETTINGS]
    marked = [item for item in session.items if settings.all or marker.is_marked(item)]
    if not marked:
        return
    from pytest_repro.plugin.config.item_plan import resolve_plan

    refused = []
    for item in marked:
        try:
            item.stash[PLAN] = resolve_plan(item, settings)
        except pytest.UsageError as error:
            refused.append(str(error))
    if refused:
        _refuse(session.config, "\n".join(dict.fromkeys(refused)))
    if LAUNCHED in session.config.stash:
        from pytest_repro.plugin.remote.launched_session import join_session

        join_session(session)
    from pytest_repro.plugin.session.hooks import register_hooks

    register_hooks(session)


def _refuse(config: pytest.Config, reason: str) -> NoReturn:
    # A worker of pytest-xdist dies silently: its controller says why.
    getattr(config, "workeroutput", {})[_REFUSAL_KEY] = reason
    raise pytest.UsageError(reason)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Takes what a worker found, and ends the session if the worker refused a marker."""
    workeroutput = getattr(node, "workeroutput", {})
    if _STALE_KEY in workeroutput:  # all workers have collected the same
        node.config.stash[STALE_TESTS] = workeroutput[_STALE_KEY]
    node.config.stash.setdefault(ENVIRONMENT, {}).update(workeroutput.get(_ENVIRONMENT_KEY, {}))
    refused = workeroutput.get(_REFUSAL_KEY)
    if refused is not None:
        raise pytest.UsageError(refused)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Writes reports, log and golden files; a worker of pytest-xdist leaves that to its controller."""
    config = session.config
    settings = config.stash[SETTINGS]
    _note_stale_tests(config)
    if hasattr(config, "workeroutput") and config.pluginmanager.has_plugin("repro-hooks"):
        from pytest_repro.adapters import environment

        # torch's version is a str subclass, which execnet does not send.
        config.workeroutput[_ENVIRONMENT_KEY] = {name: str(value) for name, value in environment().items()}
    has_report = settings.json or settings.html or settings.replay
    should_write = has_report or settings.update or config.stash.get(STALE_TESTS, None)
    if not should_write or not is_reporting(config):
        return
    from pytest_repro.plugin.session.session_end import write_all

    write_all(session)


def _note_stale_tests(config: pytest.Config) -> None:
    """Finds stale entries in golden files; a worker of pytest-xdist sends them to its controller."""
    folders = {path.parent for path in config.stash[COLLECTED].list_complete_modules(config)}
    folders = {folder for folder in folders if (folder / GOLDEN_FOLDER).is_dir()}
    if not folders:
        return
    from pytest_repro.plugin.session.collected_modules import find_stale_tests

    if stale_tests := find_stale_tests(config, folders):
        config.stash[STALE_TESTS] = stale_tests
        getattr(config, "workeroutput", {})[_STALE_KEY] = stale_tests


def pytest_exception_interact(node: object, call: pytest.CallInfo[object], report: object) -> None:
    """Notes that an assertion of this package failed in a test that is not marked."""
    error = call.excinfo.value if call.excinfo is not None else None
    # NotReproducible is not imported here: any failure calls this hook.
    is_ours = type(error).__module__ == "pytest_repro"
    if is_ours and isinstance(node, pytest.Item) and isinstance(report, pytest.TestReport):
        from pytest_repro.plugin.session.unmarked import note_failure

        note_failure(node, error, report)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Writes the session's section."""
    settings = config.stash[SETTINGS]
    if config.getoption("no_summary", False):  # pytest 9.2 calls this anyway
        return
    if not (config.stash.get(ROWS, None) or config.stash.get(GOLDEN_LINES, None) or settings.require):
        return
    from pytest_repro.plugin.session.session_end import write_terminal_summary

    write_terminal_summary(terminalreporter, config)
