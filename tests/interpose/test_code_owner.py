"""Whose code a file is, by rootdir, collected files, the project, installations and ``repro_packages``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_repro.interpose.code_owner import UserCode, classify_code, set_user_code
from pytest_repro.interpose.installed_code import find_import_package, find_project_names

LOCAL = '{"url": "file:///src/local", "dir_info": {}}'
WHEEL = '{"url": "file:///src/wheel-1.whl", "archive_info": {}}'


def install(site: Path, name: str, *files: str, direct_url: str = "") -> None:
    """Writes what pip does of a distribution."""
    metadata = site / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "RECORD").write_text("".join(f"{file},sha256=x,1\n" for file in (*files, "../../bin/run.py")))
    if direct_url:
        (metadata / "direct_url.json").write_text(direct_url)
    for file in files:
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        (site / file).touch()


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """rootdir."""
    (tmp_path / "root").mkdir()
    before = set_user_code(UserCode(str(tmp_path / "root")))
    yield tmp_path / "root"
    set_user_code(before)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of ``sys.path`` with installed packages."""
    (folder := tmp_path / "lib" / "site-packages").mkdir(parents=True)
    monkeypatch.syspath_prepend(folder)
    return folder


def check(folder: Path, **owners: str) -> None:
    """Asserts the owner of files in *folder*: their names, separated by spaces, by owner."""
    for owner, files in owners.items():
        for file in files.split():
            module = file.removesuffix(".py").replace("/", ".")
            assert (file, classify_code(str(folder / file), module)) == (file, owner)


def test_installed_packages(root: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "pyproject.toml").write_text('[project]\nname = "My.Project"\n')
    install(site, "my_project", "mine/__init__.py", "mine/sub/__init__.py", "mine/x.py", "single.py")
    install(site, "local", "space/local/__init__.py", "space/local/x.py", direct_url=LOCAL)
    install(site, "wheel", "wheel/__init__.py", direct_url=WHEEL)
    install(site, "space_other", "space/other/__init__.py")
    install(site, "named_dist", "named_import.py")
    install(site, "others", "package/__init__.py", "package/part/__init__.py")
    install(site, "numpy", "numpy/__init__.py", direct_url=LOCAL)
    install(target := tmp_path / "target", "vendored", "vendored/__init__.py")  # pip install --target
    monkeypatch.syspath_prepend(target)
    set_user_code(UserCode(str(root), (), ("named-dist", "package.part")))
    check(
        site,
        user="mine/sub/y.py single.py space/local/x.py named_import.py package/part/x.py",
        library="singles.py space/other/x.py wheel/x.py package/x.py numpy/x.py",
    )
    check(target, library="vendored/x.py", user="mine.py")


def test_files_below_rootdir_and_elsewhere(root: Path, site: Path) -> None:
    check(root, user="x.py", library=".venv/src/x.py env/lib/site-packages/x.py .tox/x.py")
    check(root.parent, user="path/x.py")
    set_user_code(UserCode(str(site / "mine")))
    check(site, user="mine/x.py", library="mine/lib/site-packages/x.py x.py")
    for everything in (site, Path("/")):
        set_user_code(UserCode(str(everything)))
        check(site, library="mine/x.py")
        assert classify_code(os.__file__, "os") == "python"


def test_collected_files_and_their_package(root: Path, site: Path) -> None:
    install(site, "acme", "acme/__init__.py", "acme/tests/test_x.py")
    install(site, "numpy", "numpy/__init__.py", "numpy/tests/__init__.py", "numpy/tests/test_y.py")
    collected = ("acme/tests/test_x.py", "numpy/tests/test_y.py", "test_single.py")
    set_user_code(UserCode(str(root), tuple(str(site / file) for file in collected)))
    check(
        site,
        user="acme/state.py acme/tests/test_x.py numpy/tests/test_y.py numpy/tests/data.py test_single.py",
        library="numpy/__init__.py other.py",
    )


@pytest.mark.parametrize(("packages", "owner"), [((), "library"), (("numpy",), "user")])
def test_numpy_from_source(root: Path, packages: tuple[str, ...], owner: str) -> None:
    set_user_code(UserCode(str(root), (), packages))
    check(root, **{owner: "numpy/x.py"})


def test_packages_of_conda_name_a_folder_of_others(
    root: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conda-meta").mkdir()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    install(site, "built", "built.py", direct_url=LOCAL)
    install(site, "mine", "mine.py", direct_url=f'{{"url": "{root.as_uri()}", "dir_info": {{}}}}')
    check(site, library="built.py", user="mine.py")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pyproject.toml", "[project]\nname = 'Some_Name'"),
        ("pyproject.toml", "[tool.poetry]\nname = 'some.name'"),
        ("pyproject.toml", "[tool.flit.metadata]\nmodule = 'some_name'"),
        ("setup.cfg", "[metadata]\nname = some-name"),
        ("setup.py", "import setuptools\nsetuptools.setup(version='1', name='some_name')"),
    ],
)
def test_the_name_of_a_project(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text)
    (inner := tmp_path / "tests" / "inner").mkdir(parents=True)
    (inner.parent / "pyproject.toml").write_text("[tool.ruff]\nline-length = 110")
    assert find_project_names([str(inner), str(tmp_path)]) == {"some-name"}


def test_import_packages_are_found_without_import() -> None:
    folder = Path(os.__file__).parent / "xml" / "dom"
    assert find_import_package("xml.dom") == [f"{folder}{os.sep}"]
    assert find_import_package("xml.dom.domreg") == [str(folder / "domreg.py")]
    assert find_import_package("xml.none") == find_import_package("nothing.at.all") == []
