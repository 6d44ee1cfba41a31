"""Tests in ranks that differ: the failure names the rank, the op and the line that came first."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("torch.distributed")

from tests.plugin.remote import test_launched, test_ranks

SOURCE = """
def noisy(x):
    return x + torch.from_numpy(np.random.default_rng().normal(size=tuple(x.shape))).float()  # noise

def test_ddp(repro, group):
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(8, 2))
    for step in range(3):
        x = torch.randn(4, 8)
        x = noisy(x) if step == 1 and repro.rank == 1 else x
        model(x).square().mean().backward()  # backward
    repro.record(gradient=model.module.weight.grad)

def test_value(repro, group):
    x = torch.ones(4)
    x = noisy(x) if repro.rank == 1 else x
    dist.all_reduce(x)  # reduced
    repro.record(x=x)

def test_broadcast(repro, group):
    x = torch.zeros(4)
    if repro.rank == 1:
        generator = torch.Generator().manual_seed(torch.seed() % 2**20)
        x = torch.rand(4, generator=generator)  # drawn
    dist.broadcast(x, 1)  # sent
    repro.record(x=x * 2)

def test_both(repro, group):
    x = noisy(torch.ones(4))
    dist.all_reduce(x)
    repro.record(x=x)
"""
MORE = """
RUNS = []

def test_only_once(repro):
    RUNS.append(1)
    repro.record(x=len(RUNS) == 2)

def test_lost(repro):
    RUNS.append(1)
    if len(RUNS) % 10 == 0 and repro.rank == 1: os._exit(3)
    repro.record(x=np.random.default_rng().random())
"""
NUMPY = "from numpy   test_it.py:{noise}: it comes from outside torch and differs"
EXPECTED = {
    "test_ddp": f"rank 1 at op N {NUMPY} rank 0 received it through all_reduce at test_it.py:{{backward}}",
    "test_value": f"rank 1 at op N {NUMPY} rank 0 received it through all_reduce at test_it.py:{{reduced}}",
    "test_broadcast": "rank 1 at op N aten.rand.generator   test_it.py:{drawn}: the state of its generator "
    "differs rank 0 received it through broadcast at test_it.py:{sent}",
    "test_both": f"ranks 0, 1 at op N {NUMPY} no collective establishes which of these came first",
}


def check(folder: Path, sections: dict[str, str]) -> None:
    lines = enumerate((folder / "test_it.py").read_text().splitlines(), 1)
    marked = {line.rpartition("# ")[2]: number for number, line in lines if re.search("  # [a-z]+$", line)}
    for name, text in EXPECTED.items():
        found = re.search(r"  diverged   (.*?)\n  (look for|replay|cause)", sections[name], re.DOTALL)
        assert found is not None, sections[name]
        shown = re.sub(r"\n +", " ", found[1]).replace("\n", " ")
        shown = re.sub(r"at op \d+", "at op N", re.sub(" +diverged +", " diverged   ", shown))
        assert shown == text.format(**marked), sections[name]


def test_ranks_of_a_marker_run_again(tmp_path: Path) -> None:
    source = "@pytest.fixture\ndef group(): pass\n" + SOURCE + MORE
    session = test_ranks.Session(tmp_path, source, "--repro-diagnose=auto").run()
    check(tmp_path, {name: session.section(name) for name in EXPECTED})
    divergence = session.rows["test_value"]["divergence"]
    assert (divergence["rank"], divergence["kind"], divergence["op"]) == (1, "input", "from numpy")
    (received,) = divergence["received"]
    assert (received["rank"], received["from"], received["op"]) == (0, [1], "all_reduce")
    assert [each["rank"] for each in session.rows["test_both"]["divergence"]["others"]] == [1]
    assert session.rows["test_only_once"]["undiagnosed"] == "no op differs between traced runs"
    lost = session.rows["test_lost"]
    why = "in a traced run, rank 1 of 2 died in the test (exit status 3)"
    assert (lost["verdict"], lost["undiagnosed"], "divergence" in lost) == ("diverged", why, False)


def test_launched_ranks_compare_their_traces(tmp_path: Path) -> None:
    source = "@pytest.fixture\ndef group(shared): pass\n" + SOURCE
    session = test_launched.Session(tmp_path, source, "--repro-trace")
    check(tmp_path, {name: session.section(0, name) for name in EXPECTED})
    assert session.rows["test_value"]["divergence"]["rank"] == 1


def test_without_a_trace_launched_ranks_say_what_finds_it(tmp_path: Path) -> None:
    source = """
    def test_drawn(repro):
        repro.record(x=np.random.default_rng().random())
    """
    session = test_launched.Session(tmp_path, source)
    why = "under torchrun, --repro-trace finds the rank, op and line that differ first"
    assert f"  no cause   {why}\n" in session.section(0, "test_drawn")
    assert session.rows["test_drawn"]["undiagnosed"] == why
