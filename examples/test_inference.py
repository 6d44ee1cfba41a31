"""Inference draws nothing: running it again, seeded equally, could not show that it samples."""

import pytest
import torch
from digits import accuracy, dataset, network

from pytest_repro import assert_no_draws


@pytest.mark.reproducible
def test_inference_samples_nothing(repro):
    model = network().eval()
    with assert_no_draws():
        repro.record(accuracy=accuracy(model))


@pytest.mark.xfail(strict=True, reason="model.eval() was forgotten: dropout is still on")
@pytest.mark.reproducible
def test_inference_in_training_mode(repro):
    model = network()
    images, _ = dataset().tensors
    with assert_no_draws(), torch.no_grad():
        repro.record(predicted=model(images).argmax(1))
