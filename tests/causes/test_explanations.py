"""The explanations of causes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_repro import causes
from pytest_repro.causes import Explanation, get_cause, list_cause_names
from pytest_repro.core.diagnose import Change, Evidence, ExternalCall

IN_PROCESS = {
    "os-entropy", "clock", "file-order", "completion-order", "address-order", "uninitialised-memory",
}  # fmt: skip
ELSEWHERE = {"hash-seed", "shared-state"}


def test_the_catalogue_is_the_directory() -> None:
    files = {path.stem for path in Path(causes.__file__).parent.glob("[!_]*.py")}
    assert {name.replace("-", "_") for name in list_cause_names()} >= files
    assert {*IN_PROCESS, *ELSEWHERE} <= set(list_cause_names())


@pytest.mark.parametrize("name", [name for name in list_cause_names() if get_cause(name).watched_functions])
def test_every_cause_explains_itself(name: str) -> None:
    cause = get_cause(name)
    assert cause.name == name
    assert cause.needs_fresh_process is (name in ELSEWHERE)
    found = cause.build_finding(Evidence(), "", "1 and 2 threads")
    assert found.name == name
    said = [(found.explanation, found.fix), *((row.effect, row.fix) for row in cause.watched_functions)]
    assert all(text and text[-1] not in ".!" for pair in said for text in pair)
    assert len({row.function + str(row.when) for row in cause.watched_functions}) == len(
        cause.watched_functions
    )


SAID = [
    (
        "os-entropy", "numpy.random.default_rng()",
        "numpy.random.default_rng() draws its seed from the operating system",
        "pass a seed, or use repro.rng()",
    ),
    (
        "os-entropy", "numpy.random.PCG64()",
        "numpy.random.PCG64() draws its seed from the operating system",
        "pass a seed, or use repro.rng()",
    ),
    (
        "os-entropy", "random.SystemRandom",
        "random.SystemRandom draws from the operating system, and cannot be seeded",
        "use random.Random(seed), or do not record values that depend on it",
    ),
    (
        "os-entropy", "torch.Generator.seed()",
        "torch.Generator.seed() seeds itself from the operating system",
        "call manual_seed(0) on it, or use repro.generator()",
    ),
    (
        "clock", "datetime.datetime.now()",
        "datetime.datetime.now() reads the wall clock",
        "pass the time as an argument, a fixed one in the test",
    ),
    (
        "clock", "time.perf_counter()",
        "time.perf_counter() reads a running clock",
        "leave durations out of what is compared, or have the test replace the clock",
    ),
    (
        "file-order", "os.listdir()",
        "os.listdir() returns entries in the order of the file system",
        "sort them: sorted(os.listdir(folder))",
    ),
    (
        "completion-order", "concurrent.futures.as_completed()",
        "concurrent.futures.as_completed() returns results in the order in which they finish",
        "use executor.map(), or iterate over the list of futures",
    ),
    (
        "address-order", "id()",
        "id() is an address, which changes from run to run",
        "number the objects yourself (itertools.count()), or sort by one of their attributes",
    ),
    (
        "uninitialised-memory", "torch.empty()",
        "torch.empty() returns memory with its previous contents",
        "write each element before reading it, or use torch.zeros()",
    ),
    (
        "hash-seed", "hash()",
        "hash() of text depends on PYTHONHASHSEED, which differs between interpreters",
        "use a stable hash: zlib.crc32(text.encode()), or hashlib",
    ),
    (
        "shared-state", "torch.manual_seed()",
        "torch.manual_seed() seeds a global generator during the test",
        "leave seeding to pytest-repro, or use a separate generator: repro.rng(), repro.generator()",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "fix"),
    [
        (
            "numpy.random.default_rng()",
            "create one generator with a seed, or repro.rng(), and pass it in: {}",
        ),
        (
            "numpy.random.RandomState()",
            "create one generator with a seed, or repro.rng(), and pass it in: {}",
        ),
        ("random.Random()", "create one random.Random(0) and pass it in: {}"),
        ("random.seed()", "call random.seed(0) once, before: {}"),
        ("torch.seed()", "call torch.manual_seed(0) once, before: {}"),
        (
            "os.urandom()",
            "create one generator, rng = repro.rng(), pass it in and call rng.bytes(n): a new one in each of "
            "the 2,000 calls would give the same bytes",
        ),
    ],
)
def test_a_call_in_a_loop_needs_one_generator(what: str, fix: str) -> None:
    found = get_cause("os-entropy").explain([ExternalCall(what, "os-entropy", "/data.py:12", count=2000)])
    why = "with a seed at this line, each of its 2,000 calls would give the same numbers"
    assert found.fix == fix.format(why)


@pytest.mark.parametrize(("cause", "what", "explanation", "fix"), SAID)
def test_call_is_explained(cause: str, what: str, explanation: str, fix: str) -> None:
    found = get_cause(cause).explain(
        [ExternalCall("x()", "other", "/a.py:1"), ExternalCall(what, cause, "/data.py:12")]
    )
    assert found == Explanation("/data.py:12", explanation, fix)


def test_user_line_comes_before_library_line() -> None:
    calls = [
        ExternalCall("os.urandom()", "os-entropy", "/a.py:1", via="somelib.ids.fresh"),
        ExternalCall("uuid.uuid4()", "os-entropy", "/b.py:2"),
        ExternalCall("uuid.uuid4()", "os-entropy", "/b.py:3"),
    ]
    location, explanation, _ = get_cause("os-entropy").explain(calls)
    assert location == "/b.py:2"
    assert explanation == "uuid.uuid4() draws from the operating system (so do calls at /b.py:3)"
    assert get_cause("os-entropy").explain(calls[:1])[1] == (
        "os.urandom(), called by somelib.ids.fresh, draws from the operating system"
    )


def test_explanation_without_a_call() -> None:
    assert get_cause("file-order").explain([]) == Explanation(
        "", "an order comes from the file system", "sort the listing: sorted(os.listdir(folder))"
    )


def test_shared_state_of_a_kind_without_its_own_fix() -> None:
    change = Change("a.KEY", "has different values", "/a.py:1", "jax key", "a.KEY")
    assert get_cause("shared-state").build_finding(Evidence(changes=(change,))).fix
