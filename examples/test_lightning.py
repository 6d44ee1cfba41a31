"""A Lightning module is trained to equal weights and metrics."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from pytest_repro import Repro

L = pytest.importorskip("lightning")


class Classifier(L.LightningModule):  # type: ignore[misc, name-defined, unused-ignore]
    """A linear layer with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.dropout = torch.nn.Linear(8, 2), torch.nn.Dropout(0.1)

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        points, labels = batch
        loss = torch.nn.functional.cross_entropy(self.layer(self.dropout(points)), labels)
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.01)


@pytest.fixture
def quiet() -> Iterator[None]:
    """Lightning advises on speed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("workers", [0, 1])
def test_one_epoch(repro: Repro, quiet: None, tmp_path: Path, workers: int) -> None:
    L.seed_everything(repro.seed, workers=True, verbose=False)
    points = torch.rand(256, 8)
    data = TensorDataset(points, (points.sum(1) > 4).long())
    context = "fork" if workers else None
    loader = DataLoader(data, 32, shuffle=True, num_workers=workers, multiprocessing_context=context)
    model = Classifier()
    trainer = L.Trainer(
        max_epochs=1, accelerator="cpu", deterministic=True, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(model, loader)
    repro.record(model=model, metrics=dict(trainer.callback_metrics))
