"""What has changed between two looks at what a run could leave behind."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence

from pytest_repro.core.diagnose.finding import Change, StateRoot
from pytest_repro.engine.experiments.find_definition import find_definition
from pytest_repro.engine.experiments.process_state import StateFact, StateFacts

MAX_CHANGES = 500
"""Changes that are looked through."""

_MAX_PART_NAMES = 3
"""Parts of one thing that are told by name."""

_KINDS = {
    ("torch.nn.modules.module", "Module"): "module",
    ("torch.optim.optimizer", "Optimizer"): "optimiser",
    ("torch._C", "Generator"): "torch generator",
    ("numpy.random._generator", "Generator"): "numpy generator",
    ("numpy.random.mtrand", "RandomState"): "numpy generator",
    ("random", "Random"): "random.Random",
}
"""What a thing is by a class that it is of; asked by name, since no library may be there."""


def diff_states(before: StateFacts, after: StateFacts, roots: Mapping[str, StateRoot]) -> Iterator[Change]:
    """What has changed between two looks, the most telling first: what grew, then other values.

    Several parts of one thing (the buffers of a module) are told under the thing itself.
    """
    names = [name for name in after if after[name] != before.get(name)][:MAX_CHANGES]
    names = [name for name in names if not any(_is_part_of(name, n) for n in names)]
    names.sort(key=lambda n: (_get_size(after[n]) == _get_size(before.get(n)), n.startswith("file")))
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_find_top_level(name, roots), []).append(name)
    for top, parts in groups.items():
        root = next((root for each, root in roots.items() if top == each), None)
        kind, whole = _find_kind(top, root)
        name = whole if kind in _GENERATOR_TEXTS else _find_shared_prefix(parts, top)
        how = _GENERATOR_TEXTS.get(kind) or _describe_change(name, parts, before, after)
        yield Change(name, how, root.location if root else find_definition(name), kind, whole)


_GENERATOR_TEXTS = dict.fromkeys(("torch generator", "numpy generator", "random.Random"), "was drawn from")
"""What is said of generators: how their state is called says nothing."""


def _is_part_of(name: str, whole: str) -> bool:
    return name.startswith((f"{whole}.", f"{whole}[", f"{whole}("))


def _find_top_level(name: str, roots: Mapping[str, StateRoot]) -> str:
    """What of a module's globals, or of what belongs to the test, *name* is a part of."""
    for each in roots:
        if name == each or _is_part_of(name, each):
            return each
    parts = re.split(r"(?=[.(\[])", name)
    for count in range(len(parts) - 1, 0, -1):
        if "".join(parts[:count]) in sys.modules:
            return "".join(parts[: count + 1])
    return name


def _find_shared_prefix(names: Sequence[str], top: str) -> str:
    """The longest name of something that all *names* are parts of."""
    if len(names) == 1:
        return names[0]
    split = [re.split(r"(?=[.(\[])", name[len(top) :])[:-1] for name in names]
    same = 0
    while all(len(each) > same for each in split) and len({each[same] for each in split}) == 1:
        same += 1
    return top + "".join(split[0][:same])


def _describe_change(name: str, parts: Sequence[str], before: StateFacts, after: StateFacts) -> str:
    if len(parts) == 1:
        return _describe_fact_change(before.get(name), after[name])
    told = ", ".join(part[len(name) :].removeprefix(".") for part in parts[:_MAX_PART_NAMES])
    more = f" and {len(parts) - _MAX_PART_NAMES} more" if len(parts) > _MAX_PART_NAMES else ""
    return f"has other values in {told}{more}"


def _find_kind(top: str, root: StateRoot | None) -> tuple[str, str]:
    """What the thing of that name is, where more is known of it than of others, and its name."""
    module, _, name = top.rpartition(".")
    value = root.value if root else getattr(sys.modules.get(module), "__dict__", {}).get(name)
    classes = ((each.__module__, each.__name__) for each in type(value).__mro__)
    kind = next((_KINDS[each] for each in classes if each in _KINDS), "")
    return (kind, top) if kind else ("", "")


def _get_size(fact: StateFact | None) -> int:
    return (fact.size or 0) if fact is not None else 0


def _describe_fact_change(before: StateFact | None, after: StateFact) -> str:
    if before is None:
        return "was not there before"
    if before.size != after.size:
        verb = "grew" if _get_size(after) > _get_size(before) else "shrank"
        return (
            f"{verb} from {before.size} to {after.size} {'results' if after.content == 'cache' else 'items'}"
        )
    short = len(before.content) <= 20 and len(after.content) <= 20 and after.size is None
    return f"went from {before.content} to {after.content}" if short else "has other values"
