"""Invalid input: an error that names the value and what is allowed."""

from __future__ import annotations

import pytest

from tests.conftest import Project

MARKED = "import pytest\n@pytest.mark.reproducible({})\ndef test_a(repro): repro.record(x=1)\n"
ARGUMENTS = "runs, seed, capture, deterministic, baseline, ranks, level, seeds, unseeded, rtol, atol"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("runs=0", "runs=0: a whole number, 1 or more"),
        ("runs='3'", "runs='3': a whole number, 1 or more"),
        ("runs=True", "runs=True: a whole number, 1 or more"),
        ("seed=-1", "seed=-1: a whole number, 0 to 4294967295"),
        ("seed=2**32", "seed=4294967296: a whole number, 0 to 4294967295"),
        ("rtol=1e-5", "rtol=1e-05: rtol and atol belong together: give both or none"),
        ("rtol=1, atol=float('nan')", "atol=nan: a finite number, 0 or more"),
        ("rtol=-1, atol=0", "rtol=-1: a finite number, 0 or more"),
        ("rtol='x', atol=0", "rtol='x': a number, 0 or more"),
        ("deterministic='yes'", "deterministic='yes': True, False or \"warn\""),
        ("capture='all'", 'capture=\'all\': one of "auto", "recorded", "locals"'),
        ("3", f"3: takes keywords only: {ARGUMENTS}"),
        ("run=3", f"run=3: unknown (did you mean runs?); allowed are {ARGUMENTS}"),
    ],
)
def test_an_invalid_marker_argument_names_the_test_and_what_is_allowed(
    project: Project, arguments: str, says: str
) -> None:
    result = project(MARKED.format(arguments))
    assert f"ERROR: test_it.py::test_a: @pytest.mark.reproducible: {says}" in result.text
    assert (result.run.ret, "Traceback" in result.text) == (4, False)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--repro-runs=0", "argument --repro-runs: 0: a whole number, 1 or more"),
        ("--repro-runs=x", "argument --repro-runs: 'x': a whole number, 1 or more"),
        ("--repro-seed=-1", "argument --repro-seed: -1: a whole number, 0 to 4294967295"),
        ("--repro-seed=4294967296", "argument --repro-seed: 4294967296"),
        ("--repro-capture=all", "argument --repro-capture: 'all': one of"),
        ("--repro-deterministic=yes", "argument --repro-deterministic: 'yes': true, warn or false"),
        ("--repro-json=", "argument --repro-json: '': the path of a file"),
    ],
)
def test_an_invalid_option_is_a_usage_error(project: Project, option: str, says: str) -> None:
    result = project(MARKED.format(""), option)
    assert says in result.text
    assert result.run.ret == 4


@pytest.mark.parametrize("section", ["tool.pytest.ini_options", "tool.pytest"])
@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("repro_runs = {0}x{0}", "repro_runs"),
        ("repro_runs = 0", "repro_runs = 0: a whole number, 1 or more"),
        ("repro_seed = -1", "repro_seed = -1: a whole number, 0 to 4294967295"),
        ("repro_capture = {0}all{0}", "repro_capture = 'all': one of"),
        ("repro_deterministic = {0}off{0}", "repro_deterministic = 'off': true, warn or false"),
        ("repro_keep_mb = -1", "repro_keep_mb = -1: a whole number of megabytes, 0 or more"),
        ("repro_all = {0}perhaps{0}", "repro_all"),
    ],
)
def test_an_invalid_ini_value_is_a_usage_error(project: Project, section: str, line: str, names: str) -> None:
    if section == "tool.pytest" and pytest.version_tuple < (9, 0):
        pytest.skip("native TOML came with pytest 9.0")
    project.ini(f"[{section}]\n" + line.format('"'))
    result = project(MARKED.format(""))
    assert names in result.text
    assert (result.run.ret, "Traceback" in result.text) == (4, False)


@pytest.mark.parametrize("section", ["tool.pytest.ini_options", "tool.pytest"])
def test_the_command_line_wins_over_the_marker_over_the_ini_file(project: Project, section: str) -> None:
    if section == "tool.pytest" and pytest.version_tuple < (9, 0):
        pytest.skip("native TOML came with pytest 9.0")
    project.ini(f'[{section}]\nrepro_runs = 4\nrepro_seed = 5\nrepro_all = true\nrepro_capture = "locals"')
    source = """
        import pytest, numpy as np
        def test_ini(): x = np.zeros(1)
        @pytest.mark.reproducible(runs=3, seed=6)
        def test_marker(repro): x = np.full(1, repro.seed)
    """
    plain = project(source).check(passed=2).report
    assert [len(test["runs"]) for test in plain["tests"]] == [4, 3]
    assert plain["seed"] == 5
    commanded = project(source, "--repro-runs=2", "--repro-seed=8").check(passed=2).report
    assert [len(test["runs"]) for test in commanded["tests"]] == [2, 2]
    assert commanded["seed"] == 8


@pytest.mark.parametrize(
    ("line", "option", "modes", "header"),
    [
        ("", "", [True, "warn"], ""),
        ("", "--repro-deterministic=false", [False, False], ", deterministic false"),
        ("repro_deterministic = {0}warn{0}", "", ["warn", "warn"], ", deterministic warn"),
        ("repro_deterministic = false", "", [False, "warn"], ", deterministic false"),
        ("repro_deterministic = false", "--repro-deterministic=true", [True, True], ""),
    ],
)
@pytest.mark.parametrize("section", ["tool.pytest.ini_options", "tool.pytest"])
def test_deterministic_algorithms_are_an_option_for_marked_and_audited_tests(
    project: Project, section: str, line: str, option: str, modes: list[object], header: str
) -> None:
    pytest.importorskip("torch")
    if section == "tool.pytest" and pytest.version_tuple < (9, 0):
        pytest.skip("native TOML came with pytest 9.0")
    project.ini(f"[{section}]\n{line}".format('"'))
    source = """
        import numpy, pytest, torch
        def test_audited(): on = numpy.full(1, torch.are_deterministic_algorithms_enabled())
        @pytest.mark.reproducible(deterministic="warn")
        def test_marked(): on = numpy.full(1, torch.are_deterministic_algorithms_enabled())
    """
    result = project(source, "--repro-all", *filter(None, [option])).check(passed=2)
    tests = result.report["tests"]
    assert [test["plan"].get("deterministic", True) for test in tests] == modes
    assert [test["observations"][0]["values"] for test in tests] == [[bool(mode)] for mode in modes]
    assert f"seed 0, 2 runs{header}\n" in result.text


def test_nearer_markers_win(project: Project) -> None:
    result = project(
        """
        import pytest
        pytestmark = pytest.mark.reproducible(runs=3, seed=1)
        @pytest.mark.reproducible(seed=2)
        class TestA:
            @pytest.mark.reproducible(runs=4)
            def test_a(self, repro):
                assert repro.seed == 2
                repro.record(x=1)
        """
    ).check(passed=1)
    assert len(result.report["tests"][0]["runs"]) == 4


def test_a_drawn_seed_is_printed_and_reproduces_the_session(project: Project) -> None:
    source = "import random\ndef test_a(repro):\n    repro.record(x=1)\n    print('drew', random.random())"
    first = project(source, "--repro-seed=random", "-s").check(passed=1, says="(drawn: --repro-seed=")
    drew = next(line for line in first.text.splitlines() if "drew" in line)
    again = project(source, f"--repro-seed={first.report['seed']}", "-s")
    assert drew in again.text


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("{'head': [1, object()]}", "model['head'][1] is an object, which cannot be recorded"),
        ("open", "model is a builtin_function_or_method"),
        ("{object(): 1}", "model has a key of type object"),
        ("np.array([object()])", "model is an array of Python objects (object)"),
        ("{1.5, object()}", "value is an object"),
    ],
)
def test_an_unsupported_value_is_named(project: Project, value: str, says: str) -> None:
    project(f"import numpy as np\ndef test_a(repro):\n    repro.record(model={value})").check(
        failed=1, says=["TypeError", says]
    )


def test_record_without_a_value_explains_its_arguments(project: Project) -> None:
    project("def test_a(repro):\n    repro.record('x')").check(
        failed=1, says="record takes a name and a value: record('loss', loss) or record(loss=loss)"
    )


def test_the_fixture_requested_too_late_is_an_error(project: Project) -> None:
    project("def test_a(repro): ...", "--setup-plan")  # requests the fixture, and never makes it
    project("def test_a(request):\n    request.getfixturevalue('repro')").check(
        failed=1, says="the fixture 'repro' was requested by getfixturevalue()"
    )


def test_a_report_that_cannot_be_written_fails_the_session(project: Project) -> None:
    (project.pytester.path / "file").write_text("")
    result = project(MARKED.format(""), "--repro-json=file/report.json", "--no-summary")
    assert "ERROR: --repro-json=file/report.json: cannot be written" in result.text
    assert (result.run.ret != 0, "Traceback" in result.text) == (True, False)


def test_a_report_path_is_relative_to_where_pytest_was_started(project: Project) -> None:
    project.ini("[tool.pytest.ini_options]")
    project.pytester.mkdir("sub")
    (project.pytester.path / "test_it.py").write_text(MARKED.format(""))
    project.pytester.chdir()
    import os

    os.chdir("sub")
    result = project.again("..", "--repro-json=deep/er.json")
    assert (project.pytester.path / "sub" / "deep" / "er.json").exists(), result.text


def test_the_marker_works_without_the_plugin(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    project.pytester.makepyfile(
        test_it="import pytest, os\n@pytest.mark.reproducible\ndef test_a(): x = os.urandom(3)"
    )
    others = "randomly asyncio anyio cov xdist benchmark html metadata json-report syrupy inline_snapshot"
    off = [word for name in ("repro", *others.split()) for word in ("-p", f"no:{name}")]
    result = project.pytester.runpytest_subprocess(*off, "--strict-markers", "-Werror")
    result.assert_outcomes(passed=1)
    assert "repro:" not in result.stdout.str()


def test_a_folder_of_the_markers_name_marks_nothing(project: Project) -> None:
    folder = project.pytester.mkdir("reproducible")
    (folder / "test_it.py").write_text("def test_reproducible(): pass\n")
    assert project.again().check(passed=1).report["tests"] == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("threads=0", "numbers of threads, 1 or more: threads=1,2"),
        ("device=cpu,9", "names of devices: device=cpu,cuda"),
        ("process=x", "process alone, or a number of interpreters, 1 or more"),
        ("memory=x", "memory alone, or the numbers to fill with: memory=0,1"),
        ("dtype=half", "names of floating dtypes: float16, bfloat16, float32, float64"),
        ("stress=1", "takes no values: it names a fixed set of axes"),
    ],
)
def test_an_invalid_axis_is_refused_in_the_syntax_of_the_option(
    project: Project, given: str, says: str
) -> None:
    project(MARKED.format(""), f"--repro-vary={given}").check(
        exit=4, says=f"argument --repro-vary: '{given}': {says}\n"
    )
    project.ini(f"[tool.pytest.ini_options]\nrepro_vary = ['{given}']")
    project.again().check(exit=4, says=f"ini file: repro_vary = '{given}': {says} (vary an axis")


def test_a_device_unknown_to_torch_blames_the_option(project: Project) -> None:
    pytest.importorskip("torch")
    source = "import torch\ndef test_a(repro): pass\ndef test_b(repro): pass\n"
    said = "names of devices: device=cpu,cuda; Expected one of cpu"
    result = project(source, "--repro-vary=device=cpu,third", subprocess=True).check(exit=4)
    assert result.text.count(f"ERROR: --repro-vary=device=cpu,third: {said}") == 1
    project.ini("[tool.pytest.ini_options]\nrepro_vary = ['device=cpu,third']")
    project.again(subprocess=True).check(
        exit=4, says=f"ERROR: ini file: repro_vary = device=cpu,third: {said}"
    )
    project.ini("[tool.pytest.ini_options]\nrepro_vary = []")
    marked = "import pytest, torch\n@pytest.mark.reproducible(device=('cpu', 'fourth'))\ndef test_a(): pass\n"
    project(marked).check(
        exit=4, says="test_it.py::test_a: @pytest.mark.reproducible: device=('cpu', 'fourth')"
    )
