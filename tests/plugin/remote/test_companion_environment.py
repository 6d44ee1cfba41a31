"""What a companion shares with its session: flags, environment and plugins; and what it must not touch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.plugin.peers import needs

LOADED = ["-p", "no:cacheprovider", "-p", "repro", "-p", "repro_marker"]


def run_pytest(folder: Path, flags: list[str], *args: str) -> str:
    """The output of pytest, run by an interpreter with *flags*."""
    command = [sys.executable, *flags, "-m", "pytest", *LOADED, *args]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_companions_have_the_flags_of_the_interpreter(project: Project) -> None:
    project.write(
        test_it="""
        import pytest, sys
        @pytest.mark.reproducible(process=True)
        def test_flags(repro):
            repro.record(debug=__debug__, mode=sys.flags.dev_mode, warnings=len(sys.warnoptions))
        """
    )
    flags = ["-O", "-X", "dev", "-W", "default"]
    assert "1 passed" in run_pytest(project.pytester.path, flags, "-s")


def test_companions_ignore_changes_of_earlier_tests_and_write_no_logs_or_summaries(project: Project) -> None:
    project.write(
        conftest="""
        def pytest_terminal_summary(config):
            with open("summaries", "a") as file: print(hasattr(config, "workerinput"), file=file)
        def pytest_sessionfinish():
            with open("ended", "a") as file: print("ended", file=file)
        """
    )
    project(
        """
        import logging, os, pytest, sys
        def test_forgets_to_undo():
            os.environ["PYTEST_ADDOPTS"] = "--no-such-option"
            sys.path.insert(0, "/no/such/folder")
        def test_first(): logging.getLogger().warning("first line")
        @pytest.mark.reproducible(process=True)
        def test_x(repro, request):
            request.config.get_terminal_writer().line("hello")
            request.config.pluginmanager.get_plugin("terminalreporter").write_line("hello")
            repro.record(x=1)
        def test_last(): logging.getLogger().warning("last line")
        """,
        "--log-file=l.log",
        subprocess=True,
    ).check(passed=4)
    lines = (project.pytester.path / "l.log").read_text().splitlines()
    assert [line.rpartition("  ")[2].split()[-2] for line in lines] == ["first", "last"]
    assert (project.pytester.path / "summaries").read_text().split() == ["False"]
    assert (project.pytester.path / "ended").read_text().split() == ["ended"] * 2


def test_companions_load_modules_given_to_main_and_refuse_objects(project: Project) -> None:
    project.write(
        extra="""
        import pytest
        @pytest.fixture
        def val(): return 1
        """,
        test_it="""
        import pytest
        @pytest.mark.reproducible(process=True)
        def test_a(repro, val): repro.record(x=val)
        """,
        main="""
        import sys, pytest, extra
        class Plugin:
            @pytest.fixture
            def val(self): return 1
        given = {"module": extra, "text": "extra", "object": Plugin()}[sys.argv[1]]
        sys.exit(pytest.main(["-p", "repro", "-p", "repro_marker", "test_it.py"], plugins=[given]))
        """,
    )
    for kind, says in {
        "module": "1 passed", "text": "1 passed",
        "object": "was given an object (__main__.Plugin), which cannot be sent: give a module",
    }.items():  # fmt: skip
        command = [sys.executable, "main.py", kind]
        done = subprocess.run(command, cwd=project.pytester.path, capture_output=True, text=True, check=False)
        assert says in done.stdout


@needs("pytest_timeout")
def test_a_timeout_in_a_companion_is_reported(project: Project) -> None:
    project(
        """
        import os, pytest, time
        @pytest.mark.reproducible(process=True)
        @pytest.mark.timeout(2)
        def test_hangs(repro):
            repro.record(x=1)
            if os.environ.get("PYTHONHASHSEED") == "1": time.sleep(30)
        """,
        plugins=("timeout",),
        subprocess=True,
    ).check(failed=1, says="Timeout")


def test_losses_that_are_not_in_a_row_abandon_nothing(project: Project) -> None:
    project(
        """
        import os, pytest
        @pytest.mark.reproducible(process=True)
        @pytest.mark.parametrize("n", range(8))
        def test_a(repro, n):
            repro.record(x=1)
            if n % 2 == 0 and os.environ.get("PYTHONHASHSEED") == "1": os._exit(3)
        """
    ).check(passed=4, failed=4, lacks="not started again")


def test_setup_only_shows_a_test_that_takes_repro(project: Project) -> None:
    project("def test_a(repro): pass", "--setup-only").check(exit=0, says="repro")


@needs("pytest_rerunfailures")
def test_a_rerun_reports_the_mismatch(project: Project) -> None:
    project(
        """
        import itertools
        numbers = itertools.count()
        def test_a(repro): repro.record(x=next(numbers))
        """,
        "--reruns=1",
        plugins=("rerunfailures",),
    ).check(failed=1, says="test_a  x differs, max abs 1", lacks="outcome differs")


@needs("xdist")
@pytest.mark.parametrize("args", [[], ["-n1"]])
def test_companions_have_the_same_command_line_and_worker(project: Project, args: list[str]) -> None:
    project(
        """
        import os, sys, pytest
        def test_forgets_to_undo(): sys.argv.append("--left")
        @pytest.mark.reproducible(process=True)
        def test_a(repro, worker_id):
            repro.record(argv=sys.argv[:-1] if sys.argv[-1] == "--left" else sys.argv, worker=worker_id)
            repro.record(names=[name for name in os.environ if name != "PYTHONHASHSEED"])
            repro.record(now=os.environ["PYTEST_CURRENT_TEST"])
        """,
        *args,
        plugins=["xdist"],
        subprocess=True,
    ).check(passed=2)


def test_warnings_of_a_companion_name_the_run(project: Project) -> None:
    project.write(
        own="""
        class Own(Warning):
            def __init__(self, a, b): super().__init__(f"{a} and {b}")
        """
    )
    result = project(
        """
        import warnings, pytest
        @pytest.mark.reproducible(process=True, order=True)
        @pytest.mark.filterwarnings("ignore:quiet")
        def test_a(repro):
            warnings.warn("everywhere")
            repro.record(x=1)
            if repro.setting["process"]:
                import own
                warnings.warn("there", DeprecationWarning)
                warnings.warn("quiet there")
                warnings.warn(own.Own("this", "that"))
        """,
        subprocess=True,
    ).check(passed=1, warnings=3)
    result.check(
        says=["DeprecationWarning: there (in process 1)", "UserWarning: Own: this and that (in process 1)"],
        lacks="quiet there (",
    )
    assert result.text.count("UserWarning: everywhere") == 1


MISSING = 'import os\nif os.environ.get("PYTHONHASHSEED") == "1": import no_such_library\n'


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("test_lacks", "collected 1 test, and not this one: {}, at test_lacks.py:2"),
        ("conftest", "could not start pytest there: {}, at {folder}/conftest.py:2"),
        ("extra", "could not start pytest there: {}, at {folder}/extra.py:2"),
    ],
)
def test_a_module_missing_in_a_companion_is_reported_in_one_line(
    project: Project, place: str, says: str
) -> None:
    test = "import pytest\n@pytest.mark.reproducible(process=True)\ndef test_a(repro): repro.record(x=1)\n"
    folder = project.pytester.path
    (folder / f"{place}.py").write_text(MISSING + (test if place == "test_lacks" else ""))
    args = ["-p", "extra"] if place == "extra" else []
    result = project(test.replace("test_a", "test_b"), *args, subprocess=place == "extra")
    module = "ModuleNotFoundError: No module named 'no_such_library'"
    result.check(says=f"(PYTHONHASHSEED=1) {says.format(module, folder=folder)}\n", lacks="importlib")


def test_an_interpreter_without_this_package_is_reported(project: Project) -> None:
    project.write(
        bare="""
        import os, sys
        os.environ.pop("PYTHONPATH", None)
        os.execv(sys.executable, [sys.executable, "-S", *sys.argv[1:]])
        """
    )
    spec = f"popen//python={sys.executable} {project.pytester.path / 'bare.py'}"
    result = project("def test_a(repro): repro.record(x=1)", f"--repro-vary=machine={spec}")
    result.check(failed=1, says=f"has no module pytest_repro: {sys.executable} -m pip install pytest-repro==")
