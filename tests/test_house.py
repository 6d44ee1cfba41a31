"""Architecture as a test: floors, columns, cycles, libraries, sizes, names, and tests that mirror it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import pytest

import pytest_repro

ROOT = Path(pytest_repro.__file__).parent
TREES = {path.relative_to(ROOT): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}

FLOORS: dict[str, list[str]] = {
    "core": ["plan", "runs", "trace", "diagnose", "compare", "golden", "replay"],
    "interpose": [],
    "values": [],
    "metrics": [],
    "adapters": [],
    "traces": [],
    "axes": [],
    "companions": ["rank_main", "rank_group launched_ranks"],
    "causes": [],
    "engine": ["runs", "replay", "experiments", "golden", "sweep", "diagnose", "check"],
    "reports": ["json failure summary sweep", "html", "github"],
    "assertions": [],
    "cli": ["reported", "compare compare_text", "merge history fleet", "commands", "__init__"],
    "plugin": [
        "config", "peers", "run", "extra_runs", "judge", "fixtures", "remote", "session", "__init__",
    ],
}  # fmt: skip
"""Floors from low to high, and in each the columns from low to high, as folders or files.

Files that are no column are the lowest, and so are folders whose name begins with ``_``, which are
part of the folder that they are in. Columns of one string may import each other.
"""

ADAPTED = {path.stem for path in TREES if len(path.parts) == 3 and path.parts[0] == "adapters"}
"""Libraries with an adapter, besides those that all floors know."""
LIBRARIES = {
    "values": {"numpy", "safetensors", "xxhash"},
    "metrics": {"numpy", "scipy"},
    "adapters": {"numpy", "torch"} | ADAPTED,
    "traces": {"torch", "xxhash"},
    "axes": {"numpy", "torch", "threadpoolctl"},
    "companions": {"execnet", "torch"},
    "causes": {"numpy", "torch"},
    "reports": {"jinja2", "markupsafe"},
    "plugin": {"pytest", "_pytest", "hypothesis", "pytest_timeout", "numpy", "torch"},
}
HEAVY = {"numpy", "torch", "xxhash", "jax", "hypothesis", "execnet", "safetensors", "jinja2", *ADAPTED}
PARTICIPLES = ["told", "heard", "asked", "made", "given", "taken", "kept", "seen", "held"]

TODO: dict[str, list[str]] = {}
"""What still breaks a rule, by rule: this list only shrinks."""


def check(rule: str, violations: Iterable[str]) -> None:
    """Asserts that exactly what the to-do list allows breaks *rule*."""
    broken, allowed = set(violations), set(TODO.get(rule, ()))
    assert sorted(broken - allowed) == [], rule
    assert sorted(allowed - broken) == [], f"no longer needed in TODO: {rule}"


def name_module(path: Path) -> str:
    parts = ["pytest_repro", *path.with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_module(path): path for path in TREES}


def iter_imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names imported anywhere in *tree*, but for the sake of types."""
    if isinstance(tree, ast.If) and getattr(tree.test, "id", "") == "TYPE_CHECKING":
        return
    if isinstance(tree, ast.Import):
        yield from (alias.name for alias in tree.names)
    elif isinstance(tree, ast.ImportFrom):
        yield from (f"{tree.module}.{alias.name}" for alias in tree.names)
    elif not isinstance(tree, ast.expr):
        for node in ast.iter_child_nodes(tree):
            yield from iter_imports(node)


def find_module(name: str) -> str | None:
    """The module of this package that *name* is, or is in."""
    return name if name in MODULES else next((m for m in [name.rpartition(".")[0]] if m in MODULES), None)


IMPORTS = {path: set(iter_imports(tree)) for path, tree in TREES.items()}
GRAPH = {
    name: {module for each in IMPORTS[path] if (module := find_module(each)) and module != name}
    for name, path in MODULES.items()
}


def rank(path: Path) -> tuple[int, int] | None:
    """Floor and column of a file; None for the files above all floors."""
    floor, *rest = path.with_suffix("").parts
    if not rest:
        return None
    place = "/".join(part for part in rest if not part.startswith("_") or part == "__init__") + "/"
    columns = [
        (len(name), number)
        for number, names in enumerate(FLOORS[floor], 1)
        for name in names.split()
        if place.startswith(f"{name}/")
    ]
    return [*FLOORS].index(floor), max(columns, default=(0, 0))[1]


def iter_upward_imports(rule: str) -> Iterator[str]:
    ranks = {name: rank(path) for name, path in MODULES.items()}
    for name, imported in GRAPH.items():
        for other in imported:
            low, high = ranks[name], ranks[other]
            if low and high and high > low and rule == ("column" if high[0] == low[0] else "floor"):
                yield f"{MODULES[name]} -> {MODULES[other]}"


@pytest.mark.parametrize("rule", ["floor", "column"])
def test_imports_lead_down(rule: str) -> None:
    check(f"import of a higher {rule}", iter_upward_imports(rule))


def find_cycles(graph: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Strongly connected components of more than one node, by Tarjan's algorithm."""
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    cycles: list[list[str]] = []

    def visit(node: str) -> None:
        numbers[node] = lowest[node] = len(numbers)
        stack.append(node)
        for other in graph[node]:
            if other not in numbers:
                visit(other)
            if other in stack:
                lowest[node] = min(lowest[node], lowest[other])
        if lowest[node] == numbers[node]:
            at = stack.index(node)
            component = stack[at:]
            del stack[at:]
            if len(component) > 1:
                cycles.append(sorted(component))

    for node in graph:
        if node not in numbers:
            visit(node)
    return cycles


def test_cycles_are_found() -> None:
    assert find_cycles({"a": "b", "b": "cd", "c": "a", "d": "e", "e": "", "f": "g", "g": "f"}) == [
        ["a", "b", "c"],
        ["f", "g"],
    ]


def test_no_import_cycle_deferred_imports_included() -> None:
    check("in an import cycle", (str(MODULES[name]) for cycle in find_cycles(GRAPH) for name in cycle))


def test_a_floor_imports_no_library_but_its_own() -> None:
    for path, imports in IMPORTS.items():
        libraries = {name.split(".")[0] for name in imports}
        foreign = libraries - sys.stdlib_module_names - {"pytest_repro"}
        # The engine looks libraries up by name where the test has imported them.
        assert foreign <= LIBRARIES.get(path.parts[0], set()), path


def test_pytests_inside_is_known_to_one_module() -> None:
    users = {path.name for path, names in IMPORTS.items() if any(n.startswith("_pytest") for n in names)}
    assert users == {"pytest_internals.py"}


@pytest.mark.parametrize("module", ["pytest_repro", "pytest_repro.plugin"])
def test_the_plugin_is_light(module: str) -> None:
    code = f"import {module}, sys; print(*{HEAVY} & {{*sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def iter_functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield f"{path}:{node.name}", node


def test_functions_are_short() -> None:
    lengths = {name: (node.end_lineno or 0) - node.lineno + 1 for name, node in iter_functions()}
    check("function of more than 50 lines", (name for name, n in lengths.items() if n > 50))
    assert sorted(lengths.values())[len(lengths) // 2] <= 8


def test_files_are_short() -> None:
    sizes = {str(path): len((ROOT / path).read_text().splitlines()) for path in TREES}
    check("file of more than 250 lines", (name for name, n in sizes.items() if n > 250))


def test_folders_are_small() -> None:
    folders = Counter(str(path.parent) for path in TREES)
    check("folder of more than 13 files", (name for name, n in folders.items() if n > 13))


def test_functions_are_named_by_verbs() -> None:
    check(
        "function named by a participle",
        (name for name, _ in iter_functions() if re.split("[_:]", name)[-1] in PARTICIPLES),
    )


def test_docstrings_say_something() -> None:
    """Not of the kind "Makes them."."""
    empty = re.compile(r"(\w+ly )?\w+s (it|them|this|that|these|those|one|all|both|each|so)\.")
    check(
        "empty docstring",
        (name for name, node in iter_functions() if empty.fullmatch(ast.get_docstring(node) or "")),
    )


def iter_wrong_floor_numbers() -> Iterator[str]:
    for number, floor in enumerate(FLOORS):
        text = ast.get_docstring(TREES[Path(floor, "__init__.py")]) or ""
        yield from (f"{floor} is {number}" for it in re.findall(r"[Ff]loor (\d+)", text) if int(it) != number)


def test_floor_numbers_in_docstrings() -> None:
    check("floor number", iter_wrong_floor_numbers())


def test_public_names_are_all_there() -> None:
    for name in pytest_repro.__all__:
        assert getattr(pytest_repro, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pytest_repro.nothing


TESTS = Path(__file__).parent
SESSIONS = {"docs", "plugin/diagnosis"}
"""Folders of tests that mirror no folder of the package: pages, and diagnoses of whole programs."""
TOPICS = {
    "adapters": "catalogue torch_layouts",
    "adapters/frameworks": "boosters library_programs sklearn_estimators",
    "axes": "cuda fixed values",
    "causes": "explanations suspension suspension_reports",
    "cli": "main",
    "cli/history": "show",
    "cli/merge": "outputs",
    "engine/check": "axes",
    "engine/diagnose": "row_order",
    "engine/runs": "token_divergence",
    "plugin/config": "help invalid_input profiles",
    "plugin/judge": "failed_assertions levels outcomes verdicts",
    "plugin/peers": "anyio asyncio benchmark cov doctest html inline_snapshot json_report randomly "
    "regressions repeat reportlog rerunfailures subtests timeout unittest xdist",
    "plugin/remote": "companion_environment rank_counts rank_traces",
    "plugin/run": "hostile_tests imports not_compared observations restored_state",
    "plugin/session": "html_report rehearsals",
    "reports/html": "extra_runs",
    "traces": "training",
    "values": "cross_dtype ulps",
}
"""What other test files are about, by the folder that they mirror."""


def has_module(place: Path, name: str) -> bool:
    """Whether a folder of the package has a module or folder *name*, or ``_PART/REST.py`` of PART_REST."""
    private, _, rest = name.partition("_")
    names = [f"{name}.py", f"_{name}.py", name, f"_{private}/{rest}.py"]
    return place.name == name or any((ROOT / place / each).exists() for each in names)


def test_tests_mirror_the_package() -> None:
    """Each file of tests is named after a module in the same place, or is listed as a topic."""
    listed = {f"{place}/{name}" for place, names in TOPICS.items() for name in names.split()}
    found = {path.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    inner = {path for path in found if path.parent.name and path.parent.as_posix() not in SESSIONS}
    assert [str(path) for path in inner if not (ROOT / path.parent).is_dir()] == []
    names = {(path.parent, path.stem.removeprefix("test_")) for path in inner}
    without = {f"{place.as_posix()}/{name}" for place, name in names if not has_module(place, name)}
    assert (sorted(without - listed), sorted(listed - without)) == ([], [])
