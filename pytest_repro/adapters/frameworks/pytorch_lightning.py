"""pytorch_lightning: modules, trainers. The older import name of lightning.

Seeded: nothing of its own: it draws from the generators of torch, numpy and `random`. `seed_everything`
    counts as seeding.
Restored: what `seed_everything` and `Trainer(deterministic=…, benchmark=…)` set, as for lightning.
Switches: none of its own; torch's hold for its modules.
Read: a `LightningModule` as a module of torch; `trainer.callback_metrics` and `trainer.logged_metrics` as
    dicts of tensors.
Captured: modules and dicts of metrics.
Environment: the version of pytorch_lightning.
Limits: a `Trainer` and a `LightningDataModule` are not read: they are listed as not compared.
"""

from __future__ import annotations

import pytorch_lightning

from pytest_repro.adapters.frameworks._parts.lightning import Lightning

adapter = Lightning("pytorch_lightning", "pytorch_lightning", pytorch_lightning.__version__)
