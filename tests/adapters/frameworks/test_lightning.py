from __future__ import annotations

import importlib
import os
from typing import Any

import pytest

from pytest_repro.adapters import digest
from pytest_repro.engine.runs.pin import pinned
from tests.conftest import Project

torch: Any = pytest.importorskip("torch")
NAMES = {"PL_GLOBAL_SEED", "PL_SEED_WORKERS", "CUBLAS_WORKSPACE_CONFIG"}


@pytest.fixture(params=["lightning", "pytorch_lightning"])
def library(request: pytest.FixtureRequest) -> Any:
    pytest.importorskip(request.param)
    return importlib.import_module(
        "lightning.pytorch" if request.param == "lightning" else request.param
    )  # where all names are


def make_trainer(library: Any, **options: Any) -> Any:
    return library.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, **options,
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore")
def test_what_lightning_sets_is_restored(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "7")
    for name in NAMES - {"PL_GLOBAL_SEED"}:
        monkeypatch.delenv(name, raising=False)
    cudnn = torch.backends.cudnn
    before = dict(os.environ), torch.get_deterministic_debug_mode(), cudnn.benchmark
    state = torch.get_rng_state()
    with pinned(deterministic=False):
        library.seed_everything(3, workers=True)
        make_trainer(library, deterministic=True, benchmark=True)
        assert {name: os.environ[name] for name in NAMES} == {
            "PL_GLOBAL_SEED": "3",
            "PL_SEED_WORKERS": "1",
            "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        }
        assert (torch.get_deterministic_debug_mode(), cudnn.benchmark) == (2, True)
    assert (dict(os.environ), torch.get_deterministic_debug_mode(), cudnn.benchmark) == before
    assert torch.equal(torch.get_rng_state(), state)


def test_trainers_are_refused_and_modules_read(library: Any) -> None:
    class Net(library.LightningModule):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

    torch.manual_seed(0)
    first, other = Net(), Net()
    assert digest(first) != digest(other)
    other.load_state_dict(first.state_dict())
    assert digest(first) == digest(other)
    with pytest.raises(TypeError, match=r"is a Trainer, .* trainer\.callback_metrics"):
        digest(make_trainer(library))
    with pytest.raises(TypeError, match=r"is a data module, .* batches of its loaders"):
        digest(library.LightningDataModule())


MODULE = """
    import os

    import pytest
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    L = pytest.importorskip("lightning")

    class Net(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer, self.dropout = torch.nn.Linear(8, 2), torch.nn.Dropout(0.1)

        def training_step(self, batch, index):
            x, y = batch
            loss = torch.nn.functional.cross_entropy(self.layer(self.dropout(x)), y)
            self.log("loss", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.01)

    def train(workers=0):
        x = torch.rand(32, 8)
        context = "fork" if workers else None
        data = TensorDataset(x, (x.sum(1) > 4).long())
        loader = DataLoader(data, 8, shuffle=True, num_workers=workers, multiprocessing_context=context)
        trainer = L.Trainer(
            max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False,
        )
        net = Net()
        trainer.fit(net, loader)
        return trainer, net
"""


@pytest.mark.parametrize("workers", [0, 1])
def test_a_training(project: Project, workers: int) -> None:
    pytest.importorskip("lightning")
    result = project(
        f"""{MODULE}
    def test_seeded(repro):
        L.seed_everything(1, workers=True)
        trainer, net = train({workers})
        repro.record(net=net, metrics=trainer.callback_metrics)

    def test_unseeded(repro):
        assert "PL_GLOBAL_SEED" not in os.environ
        trainer, net = train({workers})
        repro.record(net=net)

    @pytest.mark.reproducible
    def test_local_variables():
        trainer, net = train({workers})
        metrics = trainer.callback_metrics
    """,
        "--repro-unseeded=fail",
        "-Wignore",
    )
    result.check(passed=1, failed=2)
    assert result.verdicts == {
        "test_seeded": "reproduced",
        "test_unseeded": "reproduced",
        "test_local_variables": "reproduced",
    }
    tests = result.report["tests"]
    assert [bool(test.get("unseeded")) for test in tests] == [False, True, True]
    assert tests[2]["not_compared"] == ["trainer (Trainer)"]


def test_a_seed_that_an_earlier_run_left(project: Project) -> None:
    """``seed_everything()`` without a number reads the variable that the one before has set."""
    pytest.importorskip("lightning")
    project.inquires = True
    result = project(
        """
        import lightning
        import torch

        def test_a(repro):
            lightning.seed_everything(verbose=False)
            repro.record(weight=torch.rand(3))
            lightning.seed_everything(5, verbose=False)
        """,
        "-Wignore",
    )
    result.check(failed=1)
    cause = result.report["tests"][0]["cause"]
    assert (cause["name"], cause["location"]) == ("shared-state", "test_it.py:5")
    assert "called by lightning.fabric.utilities.seed.seed_everything" in cause["explanation"]
