"""State that earlier tests left in this process, compared with that of a fresh process, and set there."""

from __future__ import annotations

import base64
import json
import pickle
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from pytest_repro.adapters import active_adapters, find_array_adapter, find_generator_adapter
from pytest_repro.core.diagnose import Change, Experiment, StateRoot
from pytest_repro.engine.experiments.state.iterators import PLAIN_TYPES, Setter
from pytest_repro.engine.experiments.state.process_state import (
    StateFact,
    StateFacts,
    StateVisitor,
    capture_state,
    is_within,
)
from pytest_repro.engine.experiments.state.state_diff import find_definition

_LAST_PART = re.compile(r"(\.\w+|\[[^\[\]]*\]|\(default \d+\))$")
_OWN_VARIABLES = ("PYTHONHASHSEED", "PYTEST_XDIST_", "PYTEST_VERSION")
_OWN_NAMES = ("__main__.", "file ", *(f"os.environ['{name}" for name in _OWN_VARIABLES))
"""What a companion has for itself, and files, which processes share."""
_MAX_TEXT = 30


def attach_session_state(experiment: Experiment, roots: Mapping[str, StateRoot]) -> Experiment:
    """*experiment* with the state of this process that it asks for, as text for another process."""
    state: dict[str, Any] = {}
    if experiment.compare_session:
        state = dict(capture_state(roots))
    elif experiment.session_names:
        state = dict(_pickle_values(experiment.session_names, roots))
    return experiment._replace(session_state=json.dumps(state)) if state else experiment


def _pickle_values(names: Iterable[str], roots: Mapping[str, StateRoot]) -> Iterator[tuple[str, str]]:
    reader = _Reader(names)
    reader.visit_roots(roots)
    reader.visit_modules()
    switches = {name: value for each in active_adapters().values() for name, value in each.switch_values()}
    for name, value in {**switches, **reader.values}.items():
        if name in reader.names:
            with suppress(Exception):  # what cannot be sent is not set
                yield name, base64.b64encode(pickle.dumps(value)).decode()


class _Reader(StateVisitor):
    """Keeps the values of some names."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self.names, self.values = set(names), dict[str, object]()

    def on_value(self, name: str, value: object, setter: Setter | None) -> None:
        if name in self.names:
            self.values.setdefault(name, value)


class SessionState:
    """The state of the process that asked for *experiment*, in the process that runs it."""

    def __init__(self, experiment: Experiment) -> None:
        self._state = json.loads(experiment.session_state or "{}")
        self._compares, self._plain = experiment.compare_session, dict[str, StateFact]()
        self.names: list[str] = []  # of what was set
        self.changes: tuple[Change, ...] = ()
        if self._compares:
            self._plain = dict(capture_state({}))
        elif self._state:
            self._write({})

    def on_body_start(self, roots: Mapping[str, StateRoot]) -> None:
        """Compares or sets what belongs to the test, once its fixtures are set up."""
        if self._compares and not self.changes:
            session = {name: StateFact(*fact) for name, fact in self._state.items()}
            self.changes = tuple(
                _list_changes({**self._plain, **capture_state(roots)}, session, self._plain, roots)
            )
        elif self._state and not self._compares:
            self._write(roots)

    def _write(self, roots: Mapping[str, StateRoot]) -> None:
        missing = {name: text for name, text in self._state.items() if name not in self.names}
        writer = _Writer({name: pickle.loads(base64.b64decode(text)) for name, text in missing.items()})
        writer.visit_roots(roots) if roots else writer.write_process()
        self.names += writer.written


class _Writer(StateVisitor):
    """Sets the values of some names, in place where that is possible."""

    def __init__(self, values: Mapping[str, object]) -> None:
        super().__init__()
        self._values, self.written = values, list[str]()

    def write_process(self) -> None:
        self.visit_modules()
        adapters = active_adapters().values()
        for name, value in self._values.items():
            module, _, attribute = name.rpartition(".")
            if name in self.written:
                continue
            if module in sys.modules and attribute.isidentifier():
                self._write(name, None, partial(setattr, sys.modules[module], attribute))
            elif any(adapter.set_switch(name, value) for adapter in adapters):
                self.written.append(name)

    def on_value(self, name: str, value: Any, setter: Setter | None) -> None:
        for each in self._values:
            if each == name and name not in self.written:
                self._write(name, value, setter)
            elif each not in self.written and each.rpartition(".")[0] == name and hasattr(value, "__dict__"):
                self._write(each, None, partial(setattr, value, each.rpartition(".")[2]))

    def _write(self, name: str, value: Any, setter: Setter | None) -> None:
        with suppress(Exception):  # a foreign object may refuse
            if not _write_content(value, self._values[name]):
                if setter is None:
                    return
                setter(self._values[name])
            self.written.append(name)


def _write_content(value: Any, new: Any) -> bool:
    """Gives *value* the content of *new* in place; False if that is impossible."""
    if type(value) is not type(new) or isinstance(value, PLAIN_TYPES):
        return False
    with suppress(Exception):
        if (adapter := find_generator_adapter(value)) is not None:
            adapter.set_state(value, adapter.get_state(new) or "")
            return True
        if (adapter := find_array_adapter(value)) is not None and not adapter.immutable_arrays:
            adapter.restore_array(value, new)
            return True
        if isinstance(value, (dict, set, list)):
            value.clear()
            value.extend(new) if isinstance(value, list) else value.update(new)
            return True
    return False


def _list_changes(
    fresh: StateFacts, session: StateFacts, unpinned: StateFacts, roots: Mapping[str, StateRoot]
) -> Iterator[Change]:
    """What *session* has otherwise than a fresh process, each by the name of what can be set there."""
    names = dict[str, None]()
    for name in {**session, **fresh}:
        own = session.get(name)
        if name.startswith(_OWN_NAMES) or own in (fresh.get(name), unpinned.get(name, fresh.get(name))):
            continue
        common = _find_common_name(name, fresh, session)
        if common in session:
            names[common] = None
    for name in names:
        if not any(other != name and is_within(name, other) for other in names):
            root = next((root for each, root in roots.items() if is_within(name, each)), None)
            location = root.location if root is not None else find_definition(name)
            yield Change(name, _describe(session.get(name), fresh.get(name)), location)


def _find_common_name(name: str, fresh: StateFacts, session: StateFacts) -> str:
    """*name*, or that of the container of a new or missing item."""
    common = name
    while not (common in fresh and common in session) and _LAST_PART.search(common):
        common = _LAST_PART.sub("", common)
    return common if common in fresh and common in session else name


def _describe(here: StateFact | None, there: StateFact | None) -> str:
    if here is None or there is None:
        return "exists only here" if there is None else "exists only in a fresh process"
    if here.size != there.size:
        return f"has {here.size} items here and {there.size} in a fresh process"
    if here.size is None and max(len(here.content), len(there.content)) <= _MAX_TEXT:
        return f"is {here.content} here and {there.content} in a fresh process"
    return "has other values here than in a fresh process"
