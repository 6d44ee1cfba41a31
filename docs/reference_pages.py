"""Writes the pages of the reference from the code."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest_repro
from pytest_repro import adapters, axes, causes, metrics, plugin
from pytest_repro.core.plan.arguments import ARGUMENTS, BadArgument, override_plan
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.plugins import find_plugins
from pytest_repro.plugin.config.settings import OPTIONS

SCHEMA = Path(pytest_repro.__file__).parent / "reports" / "json" / "format-1.schema.json"
VERSIONS = Path(__file__).with_name("tested_versions.json")
"""Versions by import name, as ``docs/tested_versions.py`` writes them."""


def escape(text: str) -> str:
    """*text* for a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def list_options() -> Iterator[str]:
    """A table of every option and ini key."""
    yield "# Options\n"
    yield "Options of the command line take precedence over the marker, the marker over the ini file.\n"
    group = ""
    for option in OPTIONS:
        if option.group != group:
            group = option.group
            yield f"\n## {group.capitalize()}\n\n| option | ini key | default | meaning |\n|---|---|---|---|"
        value = f"={option.metavar}" if option.metavar else ""
        name = f"`--repro-{option.name}{value}`" if option.on_command_line else ""
        default = "" if option.default in (None, "", {}) else f"`{option.default}`".lower()
        yield f"| {escape(name)} | `{option.key}` | {default} | {escape(option.help)} |"


def list_arguments() -> Iterator[str]:
    """What each argument of the marker accepts, and its option."""
    yield "# Arguments of the marker\n"
    yield "[Marker](../marker.md) says what they mean.\n"
    yield "| argument | default | accepts | option |"
    yield "|---|---|---|---|"
    defaults, options = Plan()._asdict(), {option.name for option in OPTIONS if option.on_command_line}
    defaults["ranks"] = None  # 0 stands for no ranks
    for name in ARGUMENTS:
        default = f"`{defaults[name]!r}`".replace("'", '"') if defaults.get(name) is not None else ""
        option = f"`--repro-{name}`" if name in options else ""
        yield f"| `{name}` | {default} | {escape(read_allowed(name))} | {option} |"
    for name in axes.list_axis_names():
        yield f"| `{name}` | | one value of the [axis](axes.md#{name}), or a tuple | `--repro-vary={name}` |"


def read_allowed(name: str) -> str:
    """What an argument accepts, as the error of an invalid value says it."""
    try:
        override_plan(
            Plan(), {"rtol": object(), "atol": object()} if name in ("rtol", "atol") else {name: None}
        )
    except BadArgument as error:
        return error.allowed
    raise AssertionError(f"{name} accepts None")


def read_docstring(package: object, name: str) -> str:
    """The docstring of a module, without importing it: its library may be missing."""
    folder = Path(inspect.getfile(package)).parent  # type: ignore[arg-type]
    path = next(path for path in folder.rglob(f"{name}.py") if path.parent.name[0] != "_")
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def list_axes() -> Iterator[str]:
    """Each axis with its marker argument and what a difference means."""
    yield "# Axes\n"
    yield "In the marker an axis is an argument, `threads=(1, 2)`; on the command line it is"
    yield "`--repro-vary=threads=1,2`. [How axes work](../../explanation/axes.md) has the rules.\n"
    for name in axes.list_axis_names():
        axis = axes.get_axis(name)
        yield f"## {name}\n"
        yield f"{read_docstring(axes, name)}\n"
        yield f"{inspect.getdoc(type(axis))}\n"
        closeness = "within a tolerance" if axis.close_by_default else "bit for bit"
        yield f"- Values are compared {closeness} by default."
        if axis.remote:
            yield "- Each value but the reference runs in an interpreter of its own."
        yield f"- If values differ: {axis.cause_fix}.\n"


def read_facts(name: str) -> tuple[str, dict[str, str]]:
    """The text about a library, and what its adapter does by heading: ``"Seeded"``."""
    text, *facts = re.split(r"^([A-Z]\w+): (?=\S)", read_docstring(adapters, name), flags=re.M)
    return text.strip(), {title: " ".join(fact.split()) for title, fact in zip(facts[::2], facts[1::2])}


def shorten(fact: str) -> str:
    """Its first sentence, without what explains that."""
    return re.split(r"[.;:](?:\s|$)|\s\(", fact)[0]


def list_adapters() -> Iterator[str]:
    """Each adapter, by the name under which its library is imported."""
    names = sorted(find_plugins(adapters.__name__), key=str.lower)
    versions: dict[str, str] = json.loads(VERSIONS.read_text())
    yield "# Libraries\n"
    yield "What the plugin knows of a library is in its adapter, active once the library is imported:"
    yield "it seeds and restores the generators, sets and restores determinism switches, and reads values."
    yield "Other distributions add adapters as entry points of the group `pytest_repro.adapters`.\n"
    yield "| import name | tested with | values | seeded | compared in local variables |"
    yield "|---|---|---|---|---|"
    for name in names:
        text, facts = read_facts(name)
        values = text.partition("\n")[0].partition(": ")[2].rstrip(".")
        cells = (values, *(shorten(facts.get(title, "")) for title in ("Seeded", "Captured")))
        yield f"| [{name}](#{name.lower()}) | {versions.get(name, '')} | {' | '.join(map(escape, cells))} |"
    yield "\nEvery other value is a `TypeError` that says what to record instead.\n"
    for name in names:
        text, facts = read_facts(name)
        yield f"## {name}\n"
        yield f"{text}\n"
        if facts:
            yield "| | |"
            yield "|---|---|"
            yield from (f"| {title.lower()} | {escape(fact)} |" for title, fact in facts.items())
            yield ""


def list_watched() -> Iterator[str]:
    """The calls that are evidence for each cause."""
    yield "# Watched calls\n"
    yield "These calls are evidence for a cause. The diagnosis logs them, with file and line.\n"
    for name in causes.list_cause_names():
        rows = causes.get_cause(name).watched_functions
        if rows:
            yield f"## {name}\n"
            yield "| call | effect | fix |"
            yield "|---|---|---|"
            yield from dict.fromkeys(
                f"| `{row.display_name}` | {escape(row.effect)} | {escape(row.fix)} |" for row in rows
            )
            yield ""


def list_functions(title: str, package: ModuleType) -> Iterator[str]:
    """The public functions and records of a package, each as autodoc shows it."""
    modules: dict[str, str] = vars(package)["_MODULES"]
    yield f"# {title}\n"
    for heading, names in (
        ("Functions", sorted(name for name in modules if name[0].islower())),
        ("Records", sorted(name for name in modules if name[0].isupper() and name != "Repro")),
    ):
        yield f"## {heading}\n"
        for name in names:
            is_class = isinstance(getattr(package, name), type)
            options = ["   :members:"] if is_class else []
            yield from show(
                f".. auto{'class' if is_class else 'function'}:: {package.__name__}.{name}", *options
            )


def list_fixtures() -> Iterator[str]:
    """The fixtures of pytest."""
    yield "# Fixtures\n"
    yield "`repro` marks the test that requests it. It has these members:\n"
    yield from show(".. autoclass:: pytest_repro.Repro", "   :members:")
    yield "Two fixtures are for tests that are not run again:\n"
    yield from (f"- `{name}`: {inspect.getdoc(fixture)}" for name, fixture in find_fixtures())


def find_fixtures() -> Iterator[tuple[str, object]]:
    """The other fixtures."""
    for name in ("seeded", "deterministic"):
        yield name, getattr(plugin, name).__wrapped__


def list_schema() -> Iterator[str]:
    """The keys of the JSON report, from its schema."""
    schema = json.loads(SCHEMA.read_text())
    yield "# Schema of the JSON report\n"
    yield f"{schema['description']} The package contains the schema as"
    yield f"`pytest_repro/reports/json/{SCHEMA.name}`.\n"
    for name, record in {"report": schema, **schema["$defs"]}.items():
        if "properties" not in record:
            continue
        yield f"## {name}\n"
        yield "| key | type | always | meaning |"
        yield "|---|---|---|---|"
        for key, value in record["properties"].items():
            always = "yes" if key in record.get("required", ()) else ""
            meaning = escape(value.get("description", ""))
            yield f"| `{key}` | {describe_type(value)} | {always} | {meaning} |"
        yield ""


def describe_type(value: dict[str, Any]) -> str:
    """The type of a key in words, with links to the records of the schema."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        record = json.loads(SCHEMA.read_text())["$defs"][name]
        return f"[{name}](#{name})" if "properties" in record else describe_type(record)
    if "enum" in value:
        return ", ".join(f"`{json.dumps(each)}`" for each in value["enum"])
    kind = value.get("type", "number or text")
    if kind == "array" and "items" in value:
        return f"list of {describe_type(value['items'])}"
    if kind == "object" and isinstance(value.get("additionalProperties"), dict):
        return f"object of {describe_type(value['additionalProperties'])}"
    names = {"string": "text", "boolean": "true or false", "array": "list", "number": "number"}
    return (
        f"`{value['const']}`"
        if "const" in value
        else " or ".join(names.get(each, each) for each in ([kind] if isinstance(kind, str) else kind))
    )


def show(*lines: str) -> Iterator[str]:
    """A directive of autodoc in a Markdown page."""
    yield "\n".join(["```{eval-rst}", *lines, "```", ""])


PAGES = {
    "options": list_options,
    "arguments": list_arguments,
    "axes": list_axes,
    "adapters": list_adapters,
    "watched-calls": list_watched,
    "functions": lambda: list_functions("pytest_repro", pytest_repro),
    "metrics": lambda: list_functions("pytest_repro.metrics", metrics),
    "fixtures": list_fixtures,
    "schema": list_schema,
}


def write_all(folder: Path) -> None:
    """Writes every page to *folder*."""
    folder.mkdir(exist_ok=True)
    for name, make_lines in PAGES.items():
        text = "\n".join(make_lines()) + "\n"
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text() != text:  # Sphinx reads again what is newer
            path.write_text(text)
