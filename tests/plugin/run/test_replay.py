"""--repro-replay: unseeded programs are equal under it, in one session and from one to the next."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Project, Result
from tests.plugin.peers import needs

FILE = "repro-replay.json"

DATA = """
import random
import numpy as np
rng, plain, own = np.random.default_rng(), random.Random(), np.random.RandomState()
"""
PROGRAMS = """
import datetime, os, random, threading, time, uuid
import numpy as np
import data

def default_rng():
    return np.random.default_rng().random(3)
def uuid4():
    return str(uuid.uuid4())
def own_random():
    return random.Random().random()
def urandom_seeds():
    seed = os.urandom(4)
    return np.random.RandomState(int.from_bytes(seed, "big")).rand(2)
def learning_rate_by_time():
    weight, begun = 1.0, time.perf_counter()
    for _ in range(5):
        weight -= (time.perf_counter() - begun) * weight
    return weight
def now():
    return datetime.datetime.now().isoformat()
def module_level():
    return [data.rng.random(), data.plain.random(), data.own.rand()]
def threads():
    found = {}
    def work(n):
        time.sleep(random.random() / 100)
        found[n] = np.random.default_rng().random()
    workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for each in workers: each.start()
    for each in workers: each.join()
    return [found[n] for n in range(4)]
"""
TORCH = """
import torch
def urandom_seeds_torch():
    torch.manual_seed(int.from_bytes(os.urandom(4), "big"))
    return torch.rand(3)
def torch_seed():
    torch.seed()
    return torch.rand(3)
def generator_seed():
    generator = torch.Generator()
    generator.seed()
    return torch.rand(3, generator=generator)
"""
NAMES = ["default_rng", "uuid4", "own_random", "urandom_seeds", "learning_rate_by_time", "now"]
NAMES += ["module_level", "threads"]
NAMES_TORCH = ["urandom_seeds_torch", "torch_seed", "generator_seed"]
# What was recorded is kept in a file, by session, so that sessions can be compared.
TEST = """
import json, pytest, programs
@pytest.mark.parametrize("name", {names})
def test_a(repro, name, request):
    found = getattr(programs, name)()
    with open("found", "a") as file:
        print(json.dumps([name, getattr(found, "tolist", lambda: found)()]), file=file)
    repro.record(found=found)
"""


def found(project: Project) -> dict[str, list[Any]]:
    """What the runs have given since this was last asked, by program."""
    path = project.pytester.path / "found"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.unlink()
    return {name: [value for each, value in rows if each == name] for name, _ in rows}


def log(project: Project) -> dict[str, Any]:
    read = json.loads((project.pytester.path / FILE).read_text())
    assert isinstance(read, dict)
    return read


def calls(project: Project, test: str) -> list[dict[str, str]]:
    (row,) = (row for name, row in log(project)["tests"].items() if name.endswith(f"::{test}"))
    made: list[dict[str, str]] = row["calls"]
    return made


def programs(project: Project, *args: str, torch: bool = False, **how: Any) -> Result:
    names = NAMES + NAMES_TORCH * torch
    project.write(data=DATA, programs=PROGRAMS + TORCH * torch)
    return project(TEST.format(names=names), "--repro-diagnose=never", *args, **how)


def test_unseeded_programs_are_equal_under_replay_and_different_without(project: Project) -> None:
    torch = find_spec("torch") is not None
    number = len(NAMES) + len(NAMES_TORCH) * torch
    programs(project, torch=torch).check(failed=number, says=f"{number} diverged")
    found(project)
    programs(project, "--repro-replay=record", "--repro-runs=3", torch=torch, subprocess=True).check(
        passed=number,
        says=["3 runs, replay record", f"{number} tests logged: --repro-replay={FILE} feeds them again"],
    )
    first = found(project)
    written = (project.pytester.path / FILE).read_bytes()
    programs(project, f"--repro-replay={FILE}", torch=torch, subprocess=True).check(passed=number)
    later = found(project)
    assert {name: later[name] for name in first} == {name: values[:2] for name, values in first.items()}
    assert (project.pytester.path / FILE).read_bytes() == written
    programs(project, "--repro-replay=record", torch=torch).check(passed=number)
    fresh = found(project)
    assert all(fresh[name] != later[name] for name in later)


def test_the_log_names_every_call_with_file_and_line(project: Project) -> None:
    # Apart: this process holds generators of other test modules, which are logged as well.
    programs(project, "--repro-replay=record", subprocess=True)
    lines = PROGRAMS.strip().splitlines()
    for test, text, asked in (
        ("default_rng", "np.random.default_rng()", ["128 bits"]),
        ("uuid4", "uuid.uuid4()", ["16 bytes"]),
        ("urandom_seeds", "os.urandom(4)", ["4 bytes"]),
        ("now", "datetime.datetime.now()", ["time"]),
    ):
        made = [each for each in calls(project, f"test_a[{test}]") if text in each["call"]]
        at = next(n for n, line in enumerate(lines, 1) if text in line)
        assert [(each["location"], each["asked"]) for each in made] == [
            (f"programs.py:{at}", a) for a in asked
        ]
    assert len(calls(project, "test_a[learning_rate_by_time]")) == 6
    assert [each["thread"] for each in calls(project, "test_a[threads]")] != [""] * 4
    assert set(log(project)["tests"]["test_it.py::test_a[module_level]"]["generators"]) == {
        "data.rng", "data.plain", "data.own",
    }  # fmt: skip


MORE = """
import uuid
def test_a(repro):
    repro.record(n=[uuid.uuid4().hex for _ in range(3 + {more})])
"""


def test_a_program_that_asks_for_more_is_told_and_goes_on(project: Project) -> None:
    project(MORE.format(more=0), "--repro-replay=record").check(passed=1)
    why = "replay ran out at test_it.py:3: the log has 3 calls, this is the 4th"
    result = project(MORE.format(more=2), f"--repro-replay={FILE}", "--repro-diagnose=never")
    result.check(failed=1, says=[f"\n  note       {why} (run 1)", f"beyond    test_it.py::test_a  {why}\n"])
    (test,) = result.report["tests"]
    assert [run["beyond"] for run in test["runs"]] == [[why], [why]]
    assert [each["name"] for each in test["mismatches"]] == ["n[3]", "n[4]"]


def test_a_failure_tells_to_feed_from_the_log_again(project: Project) -> None:
    project("def test_a(repro): repro.record(y=repro.run)", "--repro-replay=record", "--repro-diagnose=never")
    project.again("--repro-diagnose=never", f"--repro-replay={FILE}").check(
        failed=1, says=f"--repro-seed=0 --repro-runs=2 --repro-replay={FILE}"
    )


def test_what_is_not_compared_may_run_out_too(project: Project) -> None:
    source = """
    import uuid
    def test_a(repro):
        repro.record(x=1)
        {0}
    """
    project(source.format("pass"), "--repro-replay=record").check(passed=1)
    why = "replay ran out at test_it.py:4: the log has 0 calls, this is the 1st"
    project(source.format("uuid.uuid4()"), f"--repro-replay={FILE}", "-rP").check(
        passed=1, says=["- replay -", f"\n{why} (run 1)\n"]
    )


def test_a_test_that_is_not_in_the_log_logs_for_itself(project: Project) -> None:
    project(MORE.format(more=0), "--repro-replay=record").check(passed=1)
    written = (project.pytester.path / FILE).read_bytes()
    project.write(test_other=MORE.format(more=0))
    project.again(f"--repro-replay={FILE}").check(passed=2, lacks="beyond")
    assert (project.pytester.path / FILE).read_bytes() == written


BLOCK = """
import time, uuid
import numpy as np
rng = np.random.default_rng()
def test_a(repro):
    with repro.replay():
        x = [uuid.uuid4().hex, rng.random()]
    rng.random()
    with repro.replay():
        x += [time.time(), rng.random(), uuid.uuid4().hex]
    repro.record(x=x)
def test_outside(repro):
    with repro.replay():
        uuid.uuid4()
    repro.record(x=uuid.uuid4().hex)
"""


def test_one_block_is_replayed_without_the_option(project: Project) -> None:
    result = project(BLOCK, "--repro-runs=3", "--repro-diagnose=never").check(passed=1, failed=1)
    assert result.verdicts == {"test_a": "reproduced", "test_outside": "diverged"}
    assert not (project.pytester.path / FILE).exists()


def test_under_the_option_blocks_are_part_of_the_log(project: Project) -> None:
    project(BLOCK, "--repro-replay=record").check(passed=2)
    project(BLOCK, f"--repro-replay={FILE}").check(passed=2, lacks="beyond")
    assert [each["asked"] for each in calls(project, "test_a")] == ["16 bytes", "time", "16 bytes"]


FAULTS = {
    "missing": (None, "cannot be read: No such file or directory"),
    "folder": ("", "cannot be read: Is a directory"),
    "cut short": ('{"kind": "pytest-repro replay", "form', "is not JSON: "),
    "newer": ('{"kind": "pytest-repro replay", "format": 2}', "is a replay log of format 2; this version"),
    "foreign": ("[1, 2]", "is not a replay log of pytest-repro"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_log_that_cannot_be_read_ends_the_session_at_once(project: Project, fault: str) -> None:
    content, says = FAULTS[fault]
    path = project.pytester.path / "logs.json"
    if content == "":
        path.mkdir()
    elif content is not None:
        path.write_text(content)
    project(MORE.format(more=0), "--repro-replay=logs.json").check(
        exit=pytest.ExitCode.USAGE_ERROR, says=f"ERROR: --repro-replay=logs.json: {says}", lacks="Traceback"
    )


def test_a_log_that_cannot_be_written_fails_the_session(project: Project) -> None:
    (project.pytester.path / FILE).mkdir()
    project(MORE.format(more=0), "--repro-replay=record").check(
        passed=1, exit=pytest.ExitCode.INTERNAL_ERROR,
        says="ERROR: --repro-replay=record: cannot be written: ", lacks=["Traceback", "feeds them again"],
    )  # fmt: skip
    assert [each.name for each in project.pytester.path.glob(".repro*")] == []


def test_where_nothing_ran_an_older_log_stays(project: Project) -> None:
    path = project.pytester.path / FILE
    path.write_text("old")
    project("def test_a(): pass", "--repro-replay=record").check(passed=1)
    project(MORE.format(more=0), "--repro-replay=record", "--collect-only").check(exit=0)
    assert path.read_text() == "old"


@pytest.mark.parametrize("runs", [1, 2])
def test_a_run_in_which_a_library_was_first_imported_is_not_logged(project: Project, runs: int) -> None:
    source = """
    def test_a(repro):
        import numpy
        repro.record(x=numpy.random.default_rng().random())
    """
    project(source, "--repro-replay=record", f"--repro-runs={runs}", subprocess=True).check(passed=1)
    if runs > 1:
        assert [each["asked"] for each in calls(project, "test_a")] == ["128 bits"]


def test_fixtures_of_the_test_are_replayed_and_wider_ones_do_not_disturb_it(project: Project) -> None:
    source = """
    import numpy as np, pytest, uuid
    rng = np.random.default_rng()
    @pytest.fixture(scope="module")
    def wide():
        yield rng.random(), uuid.uuid4().hex
        rng.random()
    @pytest.fixture
    def narrow(wide):
        before = rng.random(), uuid.uuid4().hex
        yield before
        uuid.uuid4()
    @pytest.mark.parametrize("n", [1, 2])
    def test_a(repro, narrow, n):
        repro.record(x=[*narrow, rng.random(), uuid.uuid4().hex])
    """
    project(source, "--repro-replay=record").check(passed=2)
    assert len(calls(project, "test_a[1]")) == 3
    project(source, f"--repro-replay={FILE}").check(passed=2, lacks="beyond")


def test_everything_is_put_back(project: Project) -> None:
    source = """
    import datetime, os, random, threading, time, uuid
    import numpy as np, pytest
    from time import perf_counter
    rng = np.random.default_rng()
    def world():
        places = (datetime, os, random, random.Random, threading.Thread, time, np.random, uuid)
        held = [{name: id(value) for name, value in vars(place).items()} for place in places]
        return held, id(perf_counter), str(rng.bit_generator.state)
    uuid.getnode()
    before = world()
    @pytest.mark.parametrize("end", ["passes", "fails", "skips"])
    def test_a(repro, end):
        assert time.time is not None and id(perf_counter) != before[1]
        repro.record(x=uuid.uuid4().hex)
        if end == "fails": raise ValueError
        if end == "skips": pytest.skip()
    def test_after():
        assert world() == before
    """
    project(source, "--repro-replay=record").check(passed=2, failed=1, skipped=1)
    project(source, f"--repro-replay={FILE}").check(passed=2, failed=1, skipped=1)


def test_an_interrupt_puts_all_back(project: Project) -> None:
    source = """
    import os, time
    real = os.urandom, time.time
    def test_a(repro):
        assert (os.urandom, time.time) != real
        raise KeyboardInterrupt
    """
    conftest = """
    import os, time
    real = os.urandom, time.time
    def pytest_unconfigure():
        print("put back:", (os.urandom, time.time) == real)
    """
    project.write(conftest=conftest)
    project(source, "--repro-replay=record", subprocess=True).check(exit=2, says="put back: True")


def test_the_fixture_that_pins_entropy_goes_first(project: Project) -> None:
    source = """
    import random, uuid
    def test_a(repro, seeded):
        repro.record(x=[uuid.uuid4().hex, random.Random().random(), random.seed()])
    """
    project(source, "--repro-replay=record").check(passed=1)
    assert calls(project, "test_a") == []


@needs("xdist")
def test_workers_bring_their_logs_home(project: Project) -> None:
    programs(project, "--repro-replay=record", "-n2", plugins=["xdist"], subprocess=True).check(
        passed=len(NAMES)
    )
    assert len(log(project)["tests"]) == len(NAMES)
    first = found(project)
    programs(project, f"--repro-replay={FILE}", "-n2", plugins=["xdist"], subprocess=True).check(
        passed=len(NAMES)
    )
    assert found(project) == first


def test_other_interpreters_are_fed_from_the_path(project: Project) -> None:
    source = MORE.format(more=0)
    project(source, "--repro-replay=record", "--repro-vary=process", "--repro-diagnose=never").check(failed=1)
    project(source, "--repro-replay=record").check(passed=1)
    result = project(source, f"--repro-replay={FILE}", "--repro-vary=process").check(passed=1)
    assert [run["axis"] for run in result.report["tests"][0]["runs"]] == ["repeat", "repeat", "process"]


def test_what_an_inquiry_tries_is_fed_as_well(project: Project) -> None:
    source = """
    import uuid
    seen = []
    def test_a(repro):
        seen.append(1)
        repro.record(x=uuid.uuid4().hex, n=len(seen))
    """
    result = project(source, "--repro-replay=record", "--repro-diagnose=always").check(failed=1)
    (test,) = result.report["tests"]
    assert (test["cause"]["name"], test["divergence"]["op"]) == ("shared-state", "record n")
    grew = "a run leaves state for the next: test_it.seen grew from 0 to 1 items"
    assert test["cause"]["explanation"] == f"{grew}; in fresh processes, runs were equal"


def test_the_ini_file_may_ask_for_it(project: Project) -> None:
    project.ini('[tool.pytest.ini_options]\nrepro_replay = "record"')
    project(MORE.format(more=0)).check(passed=1)
    assert Path(project.pytester.path / FILE).exists()
