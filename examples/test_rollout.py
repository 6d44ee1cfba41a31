"""A rollout in CartPole needs a seed for world and actions."""

import numpy as np
import pytest
import torch

from pytest_repro import Repro

gymnasium = pytest.importorskip("gymnasium")


def test_a_rollout(repro: Repro) -> None:
    """Half of the actions are the policy's, half are random: both generators need a seed."""
    environment = gymnasium.make("CartPole-v1")
    environment.action_space.seed(repro.seed)
    observation, _ = environment.reset(seed=repro.seed)
    policy, rng = torch.nn.Linear(4, 2), repro.rng()
    episode = total = 0
    for _ in range(200):
        logits = policy(torch.as_tensor(observation))
        explores = rng.random() < 0.5
        action = environment.action_space.sample() if explores else np.int64(logits.argmax())
        observation, reward, terminated, truncated, _ = environment.step(action)
        total += reward
        if terminated or truncated:
            repro.record(episode_return=total)
            observation, _ = environment.reset()  # without a seed: its generator goes on
            episode, total = episode + 1, 0
    assert episode > 1
    repro.record(observation=observation, environment=environment)
