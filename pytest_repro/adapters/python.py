"""The standard library: numbers, text, containers, `random`.

Seeded: the global generator of `random`. Draws of the operating system are replaced only by the fixture
    `seeded`.
Restored: its state, bit for bit.
Switches: none; environment variables and settings such as the locale are read to find what a run has changed.
Read: numbers, text, bytes, None, enums, dates, paths, dataclasses, lists, tuples, dicts, sets.
Captured: `random.Random`, and arrays in containers and dataclasses; not numbers and text.
Environment: Python, operating system, processor architecture.
Limits: dicts need plain keys; other objects are read by no adapter.
"""

from __future__ import annotations

import ast
import json
import os
import platform
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, ClassVar, NamedTuple

from pytest_repro.adapters import Adapter, EntropySource, FastReader, _random_global
from pytest_repro.adapters._python_values import flatten_value, read_float, read_int
from pytest_repro.core.runs.pytree import FlattenResult
from pytest_repro.interpose.patch import Patch, patch_everywhere
from pytest_repro.interpose.seeding import Effect

_GLOBAL_GENERATOR = _random_global.GLOBAL_GENERATOR
_IGNORED_VARIABLES = ("PYTEST_CURRENT_TEST", "TORCHINDUCTOR_CACHE_DIR")
"""Variables that pytest and torch set themselves."""


def _make_entropy_patches(source: EntropySource) -> Iterator[Patch]:
    """Functions that draw from the operating system, replaced to draw from *source*."""
    real_seed = random.Random.seed

    def urandom(size: int, /) -> bytes:
        return source.randbytes(size)

    def getrandom(size: int, flags: int = 0) -> bytes:
        return source.randbytes(size)

    def seed_from_source(self: random.Random, a: Any = None, version: int = 2) -> None:
        real_seed(self, source.getrandbits(64) if a is None else a, version)

    yield Patch(os, "urandom", urandom)
    yield Patch(random, "_urandom", urandom)
    yield Patch(random.Random, "seed", seed_from_source)
    yield Patch(random, "seed", partial(seed_from_source, _GLOBAL_GENERATOR))
    if hasattr(os, "getrandom"):
        yield Patch(os, "getrandom", getrandom)


@contextmanager
def _reset_tempfile_names() -> Iterator[None]:
    """Gives ``tempfile``, which draws names from a private generator, a new one for the block."""
    module: Any = sys.modules.get("tempfile")
    if not hasattr(module, "_name_sequence"):  # private: Python may remove it
        yield
        return
    module.gettempdir()  # its first call in a process draws names
    before = module._name_sequence
    module._name_sequence = None
    try:
        yield
    finally:
        module._name_sequence = before


class _Setting(NamedTuple):
    """A process-wide setting of a module of the standard library or of a library without an adapter."""

    module: str
    get: Callable[[Any], Any]
    set: Callable[[Any, Any], object]


def _set_logging(module: Any, saved: tuple[int, list[Any]]) -> None:
    module.root.setLevel(saved[0])
    module.root.handlers[:] = saved[1]


def _read_loggers() -> dict[str, tuple[int, list[Any]]]:
    """Level and handlers of each logger that has any, by the expression that names it."""
    logging: Any = sys.modules.get("logging")
    found = logging.root.manager.loggerDict.copy() if logging is not None else {}
    loggers = ((name, each) for name, each in found.items() if hasattr(each, "handlers"))
    return {
        f"logging.getLogger({name!r})": (each.level, list(each.handlers))
        for name, each in loggers
        if each.level or each.handlers
    }


def _set_logger(expression: str, level: int, handlers: list[Any]) -> None:
    name = ast.literal_eval(expression.removeprefix("logging.getLogger(").removesuffix(")"))
    logger = sys.modules["logging"].getLogger(name)
    logger.setLevel(level)
    logger.handlers[:] = handlers


_DECIMAL_PARTS = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")  # not the flags of past results
_SETTINGS = {
    "the working folder": _Setting("os", lambda m: m.getcwd(), lambda m, folder: m.chdir(folder)),
    "sys.path": _Setting(
        "sys", lambda m: list(m.path), lambda m, folders: m.path.__setitem__(slice(None), folders)
    ),
    "the locale": _Setting(
        "locale", lambda m: m.setlocale(m.LC_ALL), lambda m, text: m.setlocale(m.LC_ALL, text)
    ),
    "decimal.getcontext()": _Setting(
        "decimal",
        lambda m: {name: getattr(m.getcontext(), name) for name in _DECIMAL_PARTS},
        lambda m, parts: [m.getcontext().__setattr__(name, part) for name, part in parts.items()],
    ),
    "logging.root": _Setting("logging", lambda m: (m.root.level, list(m.root.handlers)), _set_logging),
    "matplotlib.rcParams": _Setting(
        "matplotlib", lambda m: dict.copy(m.rcParams), lambda m, rows: dict.update(m.rcParams, rows)
    ),
}


def _read_settings() -> Iterator[tuple[str, Any]]:
    for name, setting in _SETTINGS.items():
        if (module := sys.modules.get(setting.module)) is not None:
            with suppress(Exception):  # a folder that is gone, another version of the library
                yield name, setting.get(module)


class Python(Adapter):
    """Numbers, text, containers, ``random``, random numbers of the operating system."""

    fast_readers: ClassVar[Mapping[type, FastReader]] = {float: read_float, int: read_int}

    def describe(self, kind_key: object) -> tuple[str, str, tuple[int, ...]]:
        return ("float", "float64", ()) if kind_key is float else ("int", "int64", ())

    def flatten(self, value: object) -> FlattenResult:
        return flatten_value(value)

    def kind_name(self, value: object) -> str:
        return "random.Random" if issubclass(type(value), random.Random) else ""

    seed = staticmethod(_random_global.seed_all)
    save_global_states = staticmethod(_random_global.save_state)
    global_states_key = staticmethod(_random_global.read_key)

    def seeding_functions(self) -> Iterable[tuple[Any, str, Effect]]:
        return (random, "seed", "seeds"), (random, "setstate", "restores")

    @contextmanager
    def patch_entropy(self, source: EntropySource) -> Iterator[None]:
        """``os.urandom``, ``secrets``, ``uuid4``, ``SystemRandom``, ``Random()``, temporary names."""
        with _reset_tempfile_names(), patch_everywhere(_make_entropy_patches(source)):
            yield

    def get_state(self, generator: Any) -> str | None:
        state = self.state_key(generator)
        return None if state is None else json.dumps(state)

    def set_state(self, generator: Any, state: str) -> None:
        version, words, gaussian = json.loads(state)
        generator.setstate((version, tuple(words), gaussian))

    def global_generators(self) -> Mapping[str, object]:
        return {"random": _GLOBAL_GENERATOR}

    def state_api_hint(self, generator: Any) -> str:
        owner = "random" if generator is _GLOBAL_GENERATOR else ""
        return f"{owner}.getstate(), {owner}.setstate(…)"

    def state_key(self, generator: Any) -> object:
        kind = type(generator)
        # A subclass that overrides getstate() has a state of unknown form.
        is_known = issubclass(kind, random.Random) and kind.getstate is random.Random.getstate
        return generator.getstate() if is_known else None

    def switches(self) -> dict[str, str]:
        variables = {f"os.environ[{name!r}]": value for name, value in self._read_variables().items()}
        settings = dict(_read_settings())
        if "logging.root" in settings:  # pytest's own handlers are new in each run
            level, handlers = settings["logging.root"]
            settings["logging.root"] = f"level {level}, {len(handlers)} handlers"
        loggers = {
            name: f"level {level}, {len(own)} handlers" for name, (level, own) in _read_loggers().items()
        }
        return {**variables, **{name: str(value) for name, value in settings.items()}, **loggers}

    def switch_values(self) -> Iterable[tuple[str, object]]:
        yield from ((f"os.environ[{name!r}]", value) for name, value in self._read_variables().items())
        yield from _read_settings()

    def set_switch(self, name: str, value: Any) -> bool:
        if name in _SETTINGS:
            _SETTINGS[name].set(sys.modules[_SETTINGS[name].module], value)
        elif name.startswith("os.environ["):
            os.environ[name.removeprefix("os.environ['").removesuffix("']")] = str(value)
        else:
            return False
        return True

    def _read_variables(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name not in _IGNORED_VARIABLES}

    def save_switches(self) -> Callable[[str], object]:
        variables, settings, loggers = self._read_variables(), dict(_read_settings()), _read_loggers()

        def restore(name: str) -> None:
            if name in settings:
                _SETTINGS[name].set(sys.modules[_SETTINGS[name].module], settings[name])
            for logger in (each for each in _read_loggers() if each == name):
                _set_logger(logger, *loggers.get(logger, (0, [])))
            for variable in {**self._read_variables(), **variables}:
                if name == f"os.environ[{variable!r}]":
                    os.environ.pop(variable, None)
                    os.environ.update({variable: variables[variable]} if variable in variables else {})

        return restore

    def environment(self) -> dict[str, str]:
        return {
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "platform": f"{platform.system()} {platform.machine()}",
        }


adapter = Python()
