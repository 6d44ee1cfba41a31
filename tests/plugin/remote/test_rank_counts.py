"""Several numbers of ranks: the same batch over more processes, compared with fewer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin.remote.test_ranks import Session

pytest.importorskip("torch.distributed")


def test_numbers_of_ranks_are_compared_within_tolerance(tmp_path: Path) -> None:
    source = """
    def train(repro, is_mean):
        data, start = (torch.randn(66, 16, generator=repro.generator()) for _ in range(2))
        weight = start[:16].clone().requires_grad_()
        loss = (data.chunk(repro.world_size)[repro.rank] @ weight).square().mean()
        loss.backward()
        for x in (weight.grad, total := loss.detach().clone()):
            dist.all_reduce(x)
            if is_mean: x /= repro.world_size
        repro.record(loss=total, gradient=weight.grad, steps=1)
        if repro.rank: repro.record(own=repro.rank)
        assert repro.world_size == repro.setting["ranks"]

    @pytest.mark.reproducible(ranks=(1, 3))
    def test_mean(repro): train(repro, is_mean=True)

    @pytest.mark.reproducible(ranks=(1, 3))
    def test_sum(repro): train(repro, is_mean=False)
    """
    session = Session(tmp_path, source).run()
    mean, wrong = session.rows["test_mean"], session.rows["test_sum"]
    assert (mean["verdict"], mean["plan"]["ranks"]) == ("reproduced", 1)
    assert mean["plan"]["vary"] == {"ranks": [1, 3]}
    assert [run["observations"] for run in mean["runs"]] == [3] * len(mean["runs"])
    assert [(run["axis"], run["value"]) for run in mean["runs"]][:3] == [
        ("repeat", 0), ("repeat", 1), ("ranks", 3),
    ]  # fmt: skip
    found = [(each["name"], each["axis"], each["value"]) for each in wrong["mismatches"]]
    assert found == [("rank0.loss", "ranks", 3), ("rank0.gradient", "ranks", 3)]
    section = session.section("test_sum")
    assert "run to run deterministic; differs between 1 and 3 ranks: max abs " in section
    assert "an average of averages is that of the whole only over equal parts" in section
    assert "--repro-vary=ranks=1,3" in section
