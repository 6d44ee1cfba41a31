"""Architecture is a test: floors, lightness, catalogues, sizes."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_repro

ROOT = Path(pytest_repro.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
FLOORS = [
    "core", "interpose", "values", "metrics", "adapters", "traces", "axes", "companions", "causes", "engine",
    "reports", "assertions", "cli", "plugin",
]  # fmt: skip
LIBRARIES = {
    "core": set(),
    "interpose": set(),
    "values": {"numpy", "safetensors", "xxhash"},
    "metrics": {"numpy", "scipy"},
    "adapters": {"numpy", "torch"},
    "traces": {"torch", "xxhash"},
    "axes": {"numpy", "torch", "threadpoolctl"},
    "companions": {"execnet", "torch"},
    "causes": {"numpy", "torch"},
    "engine": set(),
    "reports": {"jinja2", "markupsafe"},
    "assertions": set(),
    "cli": set(),
    "plugin": {"pytest", "_pytest", "hypothesis", "pytest_timeout"},
    "": set(),
}


def room(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return relative.parts[0] if len(relative.parts) > 1 else ""


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_its_own_floor_or_lower_ones(path: Path) -> None:
    if not (here := room(path)):
        return
    floor = FLOORS.index(here)
    for name in imports(path):
        if name.startswith("pytest_repro.") and (there := name.split(".")[1]) in FLOORS:
            assert FLOORS.index(there) <= floor, f"{path}: {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_no_library_but_its_own(path: Path) -> None:
    foreign = {name.split(".")[0] for name in imports(path)} - sys.stdlib_module_names - {"pytest_repro"}
    lazily = {"engine": set(), "plugin": {"numpy", "torch"}}.get(room(path), set())
    assert foreign <= LIBRARIES[room(path)] | lazily


def test_pytests_inside_is_known_to_one_module() -> None:
    inside = {path.name for path in FILES for name in imports(path) if name.startswith("_pytest")}
    assert inside == {"pytest_internals.py"}


@pytest.mark.parametrize(
    "heavy", ["numpy", "torch", "xxhash", "jax", "hypothesis", "execnet", "safetensors", "jinja2"]
)
@pytest.mark.parametrize("module", ["pytest_repro", "pytest_repro.plugin"])
def test_the_plugin_is_light(module: str, heavy: str) -> None:
    code = f"import {module}, sys; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield f"{path.relative_to(ROOT)}:{node.name}", node


def test_functions_and_files_are_short() -> None:
    lengths = {name: (node.end_lineno or 0) - node.lineno + 1 for name, node in functions()}
    assert {name: n for name, n in lengths.items() if n > 50} == {}
    assert sorted(lengths.values())[len(lengths) // 2] <= 8
    sizes = {str(path): len(path.read_text().splitlines()) for path in FILES}
    assert {name: n for name, n in sizes.items() if n > 250} == {}


def test_public_names_are_all_there() -> None:
    for name in pytest_repro.__all__:
        assert getattr(pytest_repro, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pytest_repro.nothing
