"""lightning: modules, trainers, Fabric.

Seeded: nothing of its own: it draws from the generators of torch, numpy and `random`. `seed_everything`
    counts as seeding.
Restored: what `seed_everything` and `Trainer(deterministic=…, benchmark=…)` set: `PL_GLOBAL_SEED`,
    `PL_SEED_WORKERS`, `CUBLAS_WORKSPACE_CONFIG`, and the switches of torch.
Switches: none of its own; torch's hold for its modules.
Read: a `LightningModule` as a module of torch; `trainer.callback_metrics` and `trainer.logged_metrics` as
    dicts of tensors.
Captured: modules and dicts of metrics.
Environment: the version of lightning.
Limits: a `Trainer` and a `LightningDataModule` are not read: they are listed as not compared. With
    `strategy="ddp_spawn"`, a `Trainer` computes in other processes.
"""

from __future__ import annotations

import lightning

from pytest_repro.adapters.frameworks._parts.lightning import Lightning

adapter = Lightning("lightning", "lightning.pytorch", lightning.__version__)
