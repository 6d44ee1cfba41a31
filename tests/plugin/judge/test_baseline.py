"""Golden files, from the marker to the file and back; whole texts of what is said."""

from __future__ import annotations

import json
import os
import platform
import re
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Project, Result

MODULE = """
    import numpy as np, pytest
    @pytest.mark.reproducible(baseline=True{more})
    def test_a(repro):
        repro.record(x=np.array([1.0, {x}, 3.0]))
        for step in range(3): repro.record("loss", {loss} if step else 1.0)
        repro.record(big=np.full({many}, {x}))
"""


def module(x: float = 2.0, loss: float = 0.5, many: int = 4, more: str = "") -> str:
    return MODULE.format(x=x, loss=loss, many=many, more=more)


def golden(result: Result, folder: str = ".") -> Path:
    return result.folder / folder / "__repro__" / "test_it.json"


def files(result: Result) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in golden(result).parent.iterdir()}


def failure(result: Result) -> str:
    """What is said of the one test that failed."""
    found = re.search(
        r"^_+ (?:\w+\.)?test_\S* _+\n(.*?)\n=+ reproducibility", result.text, re.DOTALL | re.MULTILINE
    )
    assert found is not None, result.text
    return re.sub(r"\b[0-9a-f]{16}\b", "KEY", found[1])


def elsewhere(result: Result, **fields: str) -> None:
    """Makes the stored environment another one."""
    found = json.loads(golden(result).read_text())
    (key,) = found["environments"]
    found["environments"] = {"f" * 16: {**found["environments"][key], **fields}}
    for entries in found["tests"].values():
        entries["f" * 16] = entries.pop(key)
    golden(result).write_text(json.dumps(found))


def test_missing_fails_with_the_command_that_writes_it(project: Project) -> None:
    result = project(module()).check(failed=1, says="1 no-baseline", exit=1)
    assert result.verdicts == {"test_a": "no-baseline"}
    assert failure(result) == (
        "test_it.py::test_a has no baseline: __repro__/test_it.json has no values for it\n"
        "\n"
        "  write it   pytest test_it.py::test_a --repro-update"
    )
    assert not golden(result).parent.exists()


def test_written_then_compared_and_the_same_again_leaves_the_bytes(project: Project) -> None:
    result = project(module(), "--repro-update").check(
        passed=1, says=["1 reproduced", "golden    1 entry written: __repro__/test_it.json"], exit=0
    )
    before = files(result)
    assert set(before) == {"test_it.json", "test_it.safetensors"}
    project.again().check(passed=1, says="1 reproduced", lacks="golden    ")
    again = project.again("--repro-update").check(passed=1, lacks="golden    ")
    assert files(again) == before
    assert again.report["tests"][0]["baseline"]["path"] == "__repro__/test_it.json"


def test_what_differs_says_how_far_and_how_to_accept_it(project: Project) -> None:
    project(module(), "--repro-update").check(passed=1)
    result = project(module(x=2.5, loss=0.25)).check(failed=1, says="1 diverged")
    assert failure(result) == (
        "test_it.py::test_a differs from its golden file (bit for bit, 2 runs, seed 0)\n"
        "\n"
        "  x   float64[3]   differs from the golden file\n"
        "    1 of 3 elements (33.3 %), max abs 0.5, max rel 0.25, max ulp over 2**49\n"
        "    first at [1]: 2.0 in the golden file, 2.5 here\n"
        "  loss[1]   float   differs from the golden file\n"
        "    max abs 0.25, max rel 0.5, max ulp over 2**51\n"
        "    0.5 in the golden file, 0.25 here\n"
        "    first differing step of loss: 1 (0 to 2), 1 later step differs too\n"
        "  big   float64[4]   differs from the golden file\n"
        "    4 of 4 elements (100 %), max abs 0.5, max rel 0.25, max ulp over 2**49\n"
        "    first at [0]: 2.0 in the golden file, 2.5 here\n"
        "\n"
        "  golden     __repro__/test_it.json, environment KEY\n"
        "  look for   changes since it was written: code, data, weights; the runs here agree\n"
        "  accept     pytest test_it.py::test_a --repro-update\n"
        "  replay     pytest test_it.py::test_a --repro-seed=0 --repro-runs=2"
    )
    (key,) = json.loads(golden(result).read_text())["environments"]
    first = result.report["tests"][0]["mismatches"][0]
    assert (first["name"], first["axis"], first["value"], first["max_abs"]) == ("x", "baseline", key, 0.5)
    project.again("--repro-update").check(passed=1, says="1 entry written")
    project.again().check(passed=1)


def test_of_what_is_not_kept_the_statistics_tell(project: Project) -> None:
    project(module(many=10_000), "--repro-update").check(passed=1)
    result = project(module(x=2.5, many=10_000)).check(failed=1)
    said = "min 2, here 2.5; max 2, here 2.5; mean 2, here 2.5; l2 200, here 250; element 0 2.0, here 2.5"
    assert f"only statistics are in the golden file: {said}\n" in failure(result)


def test_how_much_is_kept_is_in_the_ini_file(project: Project) -> None:
    project.ini("[tool.pytest.ini_options]\nrepro_baseline_kb = 0")
    result = project(module(), "--repro-update").check(passed=1)
    assert set(files(result)) == {"test_it.json"}
    project.ini("[tool.pytest.ini_options]\nrepro_baseline_kb = -1")
    project.again().check(exit=4, says="repro_baseline_kb = -1: a whole number of kilobytes, 0 or more")


def test_another_environment_names_what_differs(project: Project) -> None:
    result = project(module(), "--repro-update").check(passed=1)
    elsewhere(result, numpy="1.0.0", platform="Plan9 mips")
    result = project(module(x=2.5)).check(failed=1, says="1 foreign-baseline")
    machine = f"{platform.system()} {platform.machine()}"
    assert failure(result) == (
        "test_it.py::test_a has a baseline of another environment only, in __repro__/test_it.json\n"
        "\n"
        f"  unlike     numpy: {np.__version__} here, 1.0.0 in the golden file\n"
        f"             platform: {machine} here, Plan9 mips in the golden file\n"
        "  values     not the same bit for bit: x, big\n"
        "  compare    @pytest.mark.reproducible(baseline=True, rtol=…, atol=…), within a tolerance\n"
        "  write it   pytest test_it.py::test_a --repro-update"
    )
    row = result.report["tests"][0]
    assert (row["verdict"], row["baseline"]["stored"], "mismatches" in row) == (
        "foreign-baseline",
        "f" * 16,
        False,
    )
    assert row["baseline"]["unlike"]["numpy"] == [np.__version__, "1.0.0"]
    assert row["baseline"]["environment_differs"] == ["numpy", "platform"]


def test_equal_bits_from_another_environment_are_reproduced_with_a_note(project: Project) -> None:
    result = project(module(many=10_000), "--repro-update").check(passed=1, lacks="values of an environment")
    elsewhere(result, numpy="1.0.0", platform="Plan9 mips")
    result = project.again().check(
        passed=1,
        says="golden    equal to values of an environment that differs in numpy, platform (1 test)",
    )
    row = result.report["tests"][0]
    assert (row["verdict"], row["baseline"]["environment_differs"]) == ("reproduced", ["numpy", "platform"])
    result = project.again("--repro-update").check(passed=1, says="1 entry written")
    before = files(result)
    assert len(json.loads(before["test_it.json"])["environments"]) == 2
    again = project.again("--repro-update").check(passed=1, lacks="golden    ")
    assert "environment_differs" not in again.report["tests"][0]["baseline"]
    assert files(again) == before
    # This environment has values of its own: those of another one do not count.
    project(module(x=2.5, many=10_000), "--repro-update").check(passed=1)
    project(module(many=10_000)).check(failed=1, says="1 diverged")


def test_any_environment_with_equal_bits_counts(project: Project) -> None:
    result = project(module(x=2.5), "--repro-update").check(passed=1)
    elsewhere(result, numpy="1.0.0")
    result = project(module(), "--repro-update").check(passed=1)
    found = json.loads(golden(result).read_text())
    (key,) = {*found["environments"]} - {"f" * 16}
    found["environments"]["e" * 16] = {**found["environments"].pop(key), "numpy": "1", "platform": "Plan9"}
    found["tests"]["test_it.py::test_a"]["e" * 16] = found["tests"]["test_it.py::test_a"].pop(key)
    golden(result).write_text(json.dumps(found))
    project.again().check(passed=1, says="differs in numpy, platform (1 test)")
    project(module(x=2.5)).check(passed=1, says="differs in numpy (1 test)")
    project(module(x=3.5)).check(failed=1, says="numpy: ", lacks="platform: ")


def test_in_another_environment_only_what_counts_at_the_level_must_be_equal(project: Project) -> None:
    level = ", level='outcome'"
    elsewhere(project(module(more=level), "--repro-update").check(passed=1), numpy="1.0.0")
    project(module(x=2.5, more=level)).check(passed=1, says="equal to values of an environment")
    project(module(loss=0.25, more=level)).check(
        failed=1, says="values     not the same bit for bit: loss[2]\n"
    )


@pytest.mark.parametrize(
    ("x", "many", "word"),
    [
        (2.0, 4, "reproduced"),
        (2.001, 4, "reproduced"),
        (2.5, 4, "diverged"),
        (2.001, 10_000, "foreign-baseline"),
    ],
)
def test_within_a_tolerance_another_environment_counts(
    project: Project, x: float, many: int, word: str
) -> None:
    """The values decide; where one is not there, nobody knows: that is no silent pass."""
    close = ", rtol=1e-2, atol=0"
    result = project(module(many=many, more=close), "--repro-update").check(passed=1)
    elsewhere(result, numpy="1.0.0")
    result = project(module(x=x, many=many, more=close))
    assert result.verdicts == {"test_a": word}, result.text
    if word == "reproduced":
        how = "equal to" if x == 2.0 else "within the tolerance of"
        assert f"golden    {how} values of an environment that differs in numpy (1 test)" in result.text
    if word == "foreign-baseline":
        assert "values     not stored, and not the same: big\n" in failure(result)
    if word == "diverged":
        assert "  unlike     numpy: " in failure(result)


def test_only_what_ran_and_passed_is_touched(project: Project) -> None:
    source = """
        import os, pytest
        pytestmark = pytest.mark.reproducible(baseline=True)
        def test_good(repro): repro.record(x={x})
        def test_bad(repro): repro.record(x={x}); assert {x} == 1
        def test_wild(repro): repro.record(x=os.urandom(8) if {x} != 1 else 1)
        def test_torn(repro, torn): repro.record(x={x})
        def test_skipped(repro): repro.record(x={x}); {x} == 1 or pytest.skip()
        def test_left_out(repro): repro.record(x={x})
        @pytest.fixture
        def torn():
            yield
            assert {x} == 1
        class Test:
            @pytest.mark.xfail(strict=True)
            def test_strict(self, repro): repro.record(x={x}); assert {x} != 1
    """
    result = project(source.format(x=1), "--repro-update")
    before = json.loads(golden(result).read_text())["tests"]
    again = project(source.format(x=2), "--repro-update", "--deselect=test_it.py::test_left_out")
    after = json.loads(golden(again).read_text())["tests"]
    names = ["good", "bad", "wild", "torn", "skipped", "left_out"]
    assert set(before) == set(after) == {f"test_it.py::test_{name}" for name in names}
    assert [n for n in before if before[n] != after[n]] == ["test_it.py::test_good"]


def test_one_run_is_compared_as_well(project: Project) -> None:
    once = ", runs=1"
    project(module(more=once), "--repro-update").check(passed=1, says="1 ran once, nothing compared")
    project.again().check(passed=1, says="1 reproduced")
    project(module(x=3.0, more=once)).check(failed=1, says="1 diverged")
    project("import pytest\n@pytest.mark.reproducible(baseline=True, runs=1)\ndef test_a(): pass").check(
        failed=1, says="observed nothing"
    )


def test_a_wrong_argument_is_named(project: Project) -> None:
    project(module().replace("baseline=True", "baseline='yes'")).check(
        exit=4, says="test_it.py::test_a: @pytest.mark.reproducible: baseline='yes': True or False"
    )


def test_the_command_names_what_the_command_line_changed(project: Project) -> None:
    told = "pytest test_it.py::test_a --repro-update --repro-deterministic=false --repro-vary=memory=7\n"
    project(module(), "--repro-deterministic=false", "--repro-vary=memory=7").check(says=told)
    project(module(), "--repro-seed=7").check(says="pytest test_it.py::test_a --repro-update --repro-seed=7")
    project.again("--repro-seed=7", "--repro-update").check(passed=1)
    project.again("--repro-seed=7").check(passed=1)
    project.again().check(passed=1, says="values of an environment that differs in seed")


MANY = """
    import pytest, random
    @pytest.mark.parametrize("n", range(100))
    @pytest.mark.reproducible(baseline=True)
    def test_a(repro, n): repro.record(x=n, y=random.random())
"""


def test_workers_lose_none_of_100(project: Project) -> None:
    args = ("-n2", "--repro-update", "-q")
    result = project(MANY, *args, plugins=["xdist.plugin"]).check(passed=100)
    stored = json.loads(golden(result).read_text())
    assert len(stored["tests"]) == 100
    before = files(result)
    assert set(before) == {"test_it.json", "test_it.safetensors"}
    project.again(*args, plugins=["xdist.plugin"]).check(passed=100)
    assert files(result) == before
    project.again("--repro-update").check(passed=100, says="100 reproduced", lacks="golden    ")
    assert files(result) == before
    # Tests that are gone are known to the controller, which collects none itself.
    prune = ("-n2", "--repro-prune")
    project(MANY.replace("100", "3"), *prune, plugins=["xdist.plugin"]).check(
        passed=3, says="pruned    97 of tests that are gone: __repro__/test_it.json"
    )
    assert len(json.loads(golden(result).read_text())["tests"]) == 3


ODD = """
    import pytest, unittest
    ODD = ["a::b", "[]", "../..", "$HOME `x` 'y'", "\\u00df", "\\0", "\\ud800", "a\\nb"]
    @pytest.mark.parametrize("x", ODD)
    @pytest.mark.reproducible(baseline=True)
    def test_a(repro, x): repro.record(x=1.5)
    @pytest.mark.reproducible(baseline=True)
    class TestCase(unittest.TestCase):
        def test_b(self): value = __import__("numpy").ones(3)
"""


def test_odd_ids_and_unittest(project: Project) -> None:
    project(ODD).check(failed=9, says="pytest 'test_it.py::test_a[a::b]' --repro-update")
    result = project.again("--repro-update").check(passed=9, says="9 entries written")
    assert {each.name for each in result.folder.iterdir()} >= {"__repro__", "test_it.py"}
    project.again().check(passed=9, says="9 reproduced", lacks="stale    ")
    project(ODD.replace('"[]", ', "")).check(
        passed=8, says="stale     test_it.py::test_a[[]]  not collected any more"
    )


def test_modules_of_one_name_keep_their_own(project: Project) -> None:
    project.ini('[tool.pytest.ini_options]\naddopts = "--import-mode=importlib"')
    for folder, x in (("one", 1), ("two", 2)):
        path = project.pytester.mkdir(folder) / "test_it.py"
        path.write_text(
            "import pytest\n@pytest.mark.reproducible(baseline=True)\n"
            f"def test_a(repro): repro.record(x={x})\n"
        )
    result = project.again("--repro-update").check(passed=2)
    for folder in ("one", "two"):
        assert list(json.loads(golden(result, folder).read_text())["tests"]) == [
            f"{folder}/test_it.py::test_a"
        ]
    project.again().check(passed=2, says="2 reproduced")


GONE = """
    import pytest
    pytestmark = pytest.mark.reproducible(baseline=True)
    def test_a(repro): repro.record(x=1)
"""
STALE = "stale     test_it.py::test_b  not collected any more"
TOLD = f"{STALE}, still in __repro__/test_it.json: --repro-prune removes it"


def test_tests_that_are_gone_are_listed_and_pruned(project: Project) -> None:
    both = GONE + "    def test_b(repro): repro.record(x=2)\n"
    result = project(both, "--repro-update").check(passed=2, lacks="stale    ")
    project(GONE).check(passed=1, says=TOLD)
    # Collected in part, nobody knows.
    for args in (["test_it.py::test_a"], ["-k", "test_a and not test_b"], ["--deselect=test_it.py::test_a"]):
        project(both, *args).check(lacks="stale    ")
    for args in (["test_it.py::test_a"], ["--deselect=test_it.py::test_a"], ["--collect-only"]):
        project(GONE, *args, "--repro-prune").check(lacks=["stale    ", "pruned    "])
    project("def test_a(:", "--repro-prune").check(lacks=["stale    ", "pruned    "])
    assert len(json.loads(golden(result).read_text())["tests"]) == 2
    project(GONE, "--repro-prune").check(
        passed=1, says="pruned    1 of tests that are gone: __repro__/test_it.json"
    )
    project.again().check(passed=1, lacks=["stale    ", "pruned    "])
    assert list(json.loads(golden(result).read_text())["tests"]) == ["test_it.py::test_a"]


def test_of_a_module_that_has_no_test_left_all_are_gone(project: Project) -> None:
    result = project(GONE, "--repro-update").check(passed=1)
    project.write(test_other="def test_c(): pass")
    project("").check(passed=1, says="stale     test_it.py::test_a")
    (result.folder / "test_it.py").unlink()
    project.again("--repro-prune").check(passed=1, says="pruned    1")
    assert not golden(result).parent.exists()


def test_what_is_damaged_is_named_and_left(project: Project) -> None:
    result = project(module(), "--repro-update").check(passed=1)
    text = golden(result).read_text()
    for damaged, says, args in (
        (text[:-30], "is not JSON: ", []),
        (text[:-30], "is not JSON: ", ["--repro-update"]),
        (text[:-30], "is not JSON: ", ["--repro-prune"]),
        (text.replace('"format": 1', '"format": 2'), "is of format 2; this version", []),
        ("<<<<<<< HEAD\n" + text, "is not JSON", []),
        ("", "is empty", ["--repro-update"]),
    ):
        golden(result).write_text(damaged)
        before = files(result)
        again = project.again(*args).check(failed=1, exit=1)
        first, *rest = failure(again).splitlines()
        assert first.startswith(
            f"test_it.py::test_a was not compared: its golden file __repro__/test_it.json {says}"
        )
        assert rest[1:] == [
            "  repair     restore the file from version control, or delete it and write a new one:",
            "             pytest test_it.py::test_a --repro-update",
        ]
        assert files(again) == before


def test_damaged_values_are_named(project: Project) -> None:
    result = project(module(), "--repro-update").check(passed=1)
    values = golden(result).with_suffix(".safetensors")
    values.write_bytes(values.read_bytes()[:-3])
    project.again().check(
        failed=1,
        says="has values that cannot be read: test_it.safetensors is not a safetensors file, or incomplete",
    )


def test_values_that_are_not_there_cost_the_distance_alone(project: Project) -> None:
    result = project(module(), "--repro-update").check(passed=1)
    golden(result).with_suffix(".safetensors").unlink()
    project.again().check(passed=1)
    project(module(x=2.5)).check(failed=1, says="only statistics are in the golden file: ")


def test_an_update_stores_values_that_are_lost_or_were_too_large(project: Project) -> None:
    result = project(module(many=10_000), "--repro-update")
    before = files(result)
    golden(result).with_suffix(".safetensors").unlink()
    project.again("--repro-update", "-q").check(passed=1, says="1 entry written: __repro__/test_it.json")
    assert files(result) == before
    project.again("--repro-update", "-o", "repro_baseline_kb=100").check(passed=1)
    assert len(files(result)["test_it.safetensors"]) > 80_000
    assert files(result)["test_it.json"] == before["test_it.json"]
    result = project.again("--repro-update").check(passed=1)
    assert "written" not in result.text


def test_values_that_are_close_are_left_as_they_were(project: Project) -> None:
    result = project(module(more=", rtol=0, atol=0.1"), "--repro-update")
    before = files(result)
    project(module(x=2.01, more=", rtol=0, atol=0.1"), "--repro-update").check(passed=1)
    assert files(result) == before


def test_values_of_a_dtype_that_is_never_written_are_named(project: Project) -> None:
    result = project(module(), "--repro-update")
    values = golden(result).with_suffix(".safetensors")
    content = values.read_bytes()
    assert b'"F64","shape":[3]' in content
    values.write_bytes(headed(content, b'"F64","shape":[3]', b'"BF16","shape":[12]'))
    for args in ((), ("--repro-update",)):
        project(module(x=2.5), *args).check(
            failed=1, says="has values that cannot be read: test_it.safetensors is damaged: the value"
        )


def headed(content: bytes, old: bytes, new: bytes) -> bytes:
    """A safetensors file with something else in its header."""
    size = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + size].rstrip().replace(old, new)
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def test_what_a_golden_file_holds_commands_no_terminal(project: Project) -> None:
    result = project(module(), "--repro-update")
    text = golden(result).read_text()
    golden(result).write_text(text.replace('"name": "x"', '"name": "\\u001b[31mx\\n::y"'))
    again = project.again().check(failed=1, says=r"\x1b[31mx\n::y")
    assert "\x1b" not in again.text
    golden(result).write_text(text.replace('"kind": "float64[3]"', '"kind": "\\n::error::"'))
    project.again().check(failed=1, says=r'.kind is "\n::error::", not printable text')


def test_a_folder_that_cannot_be_written_fails_the_session(project: Project) -> None:
    project.pytester.makefile("", __repro__="in the way")
    (project.pytester.path / "__repro__").touch()
    result = project(module(), "--repro-update")
    assert result.run.ret != 0
    path = result.folder / "__repro__" / "test_it.json"
    assert str(path.parent.name) in result.text
    result.check(lacks=["INTERNALERROR", "Traceback"])


def test_a_full_disk_names_the_path_and_fails_the_session(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = project(module(), "--repro-update").check(passed=1)
    before = files(result)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    path = golden(result)
    project(module(x=2.5), "--repro-update").check(
        passed=1, exit=3,
        says=f"ERROR: --repro-update: {path}: cannot be written: [Errno 28] No space left on device",
        lacks=["INTERNALERROR", "Traceback", "golden    "],
    )  # fmt: skip
    assert files(result) == before


def test_a_library_imported_by_another_test_is_no_other_environment(project: Project) -> None:
    pytest.importorskip("torch")
    source = """
        import pytest
        def test_first(): import torch
        @pytest.mark.reproducible(baseline=True)
        def test_a(repro): repro.record(x=1)
    """
    result = project(source, "--repro-update", subprocess=True).check(passed=2)
    (fields,) = json.loads(golden(result).read_text())["environments"].values()
    assert fields["torch deterministic_algorithms"] == "on"
    project.again("test_it.py::test_a", subprocess=True).check(passed=1, says="1 reproduced")


def test_a_switch_that_counts_is_an_environment(project: Project) -> None:
    pytest.importorskip("torch")
    source = """
        import pytest, torch
        @pytest.mark.reproducible(baseline=True, deterministic={mode})
        def test_a(repro): repro.record(x=torch.ones(2))
    """
    project(source.format(mode=True), "--repro-update").check(passed=1)
    project(source.format(mode=False).replace("ones", "zeros")).check(
        failed=1, says="torch deterministic_algorithms: off here, on in the golden file"
    )


def test_axes_and_a_golden_file_go_together(project: Project) -> None:
    source = """
        import numpy as np, pytest
        @pytest.mark.reproducible(baseline=True, process=True)
        def test_a(repro): repro.record(x=np.arange(300.0))
    """
    project(source, "--repro-update").check(passed=1)
    result = project.again().check(passed=1, says="1 reproduced")
    assert {run["axis"] for run in result.report["tests"][0]["runs"]} == {"repeat", "process"}


def test_what_waits_is_no_concern_of_other_reporters(project: Project) -> None:
    project.write(
        conftest="""
        def pytest_runtest_logreport(report):
            assert not hasattr(report, "repro_golden")
    """
    )
    project(module(), "--repro-update").check(passed=1, says="1 entry written")
