from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_repro import NotReproducible, assert_resumable
from pytest_repro.adapters import digest, flatten
from pytest_repro.adapters._find_generators import find_generators
from pytest_repro.core.runs.pytree import iter_leaves
from tests.conftest import Project

gymnasium = pytest.importorskip("gymnasium")
spaces = gymnasium.spaces


def make_environment(seed: int = 0) -> Any:
    environment = gymnasium.make("CartPole-v1")
    environment.reset(seed=seed)
    return environment


def make_vector(**options: Any) -> Any:
    return gymnasium.make_vec("CartPole-v1", num_envs=2, **options)


def list_paths(value: object) -> set[str]:
    return {path for path, *_ in iter_leaves(value, "value", flatten)}


@pytest.mark.parametrize(
    ("space", "other", "path"),
    [
        (spaces.Box(0, 1, (3,)), spaces.Box(0, np.array([1, 1, 2]), (3,)), ".high"),
        (spaces.Box(0, 1, (3,)), spaces.Box(0, 1, (3,), np.float64), ".dtype"),
        (spaces.Discrete(3), spaces.Discrete(3, start=1), ".start"),
        (spaces.MultiDiscrete([2, 3]), spaces.MultiDiscrete([2, 4]), ".nvec"),
        (spaces.MultiBinary(4), spaces.MultiBinary(5), ".n"),
        (spaces.Text(3), spaces.Text(3, charset="ab"), "._char_set"),
        (spaces.Dict(a=spaces.Discrete(2)), spaces.Dict(a=spaces.Discrete(3)), "['a'].n"),
        (spaces.Tuple([spaces.Discrete(2)]), spaces.Tuple([spaces.Discrete(3)]), "[0].n"),
        (spaces.OneOf([spaces.Discrete(2)]), spaces.OneOf([spaces.Discrete(3)]), "[0].n"),
        (spaces.Sequence(spaces.Discrete(2)), spaces.Sequence(spaces.Discrete(3)), ".feature_space.n"),
        (
            spaces.Graph(spaces.Discrete(2), None),
            spaces.Graph(spaces.Discrete(2), spaces.Discrete(2)),
            ".edge_space.n",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_spaces_are_equal_in_all_that_they_say(space: Any, other: Any, path: str) -> None:
    from copy import deepcopy

    assert digest(space) == digest(deepcopy(space)) != digest(other)
    assert path in list_paths(other)
    seeded = deepcopy(space)
    seeded.seed(1)
    assert digest(seeded) != digest(space)
    assert "._np_random.state['state']['state']" in list_paths(seeded)


def test_environments_are_equal_after_equal_steps() -> None:
    first, second = make_environment(), make_environment()
    assert digest(first) == digest(second)
    first.step(0)
    assert digest(first) != digest(second)
    second.step(0)
    assert digest(first) == digest(second)
    second.unwrapped.gravity = 9.9
    assert digest(first) != digest(second) != digest(make_environment(1))


def test_an_environment_is_read_through_its_wrappers() -> None:
    environment = gymnasium.wrappers.TransformObservation(make_environment(), lambda x: 2 * x, None)
    assert {
        ".unwrapped.state",
        ".unwrapped.action_space.n",
        ".unwrapped._np_random.state['state']['state']",
        ".env._elapsed_steps",
    } <= list_paths(environment)


def test_reading_an_environment_makes_no_generator() -> None:
    environment = gymnasium.make("CartPole-v1")
    digest(environment)
    assert environment.unwrapped._np_random is None
    assert environment.action_space._np_random is None


def test_times_of_episodes_are_no_values() -> None:
    for wrapped in (make_environment(), make_vector(vectorization_mode="sync")):
        wrappers = gymnasium.wrappers
        record = wrappers.RecordEpisodeStatistics
        if isinstance(wrapped, gymnasium.vector.VectorEnv):
            record = wrappers.vector.RecordEpisodeStatistics
        environment = record(wrapped)
        environment.reset(seed=0)
        before = digest(environment)
        environment.reset(seed=0)
        assert digest(environment) == before


@pytest.mark.parametrize("mode", ["sync", "vector_entry_point"])
def test_vector_environments(mode: str) -> None:
    environments = [make_vector(vectorization_mode=mode) for _ in range(2)]
    for each in environments:
        each.reset(seed=3)
    assert digest(environments[0]) == digest(environments[1])
    environments[1].step(np.array([0, 1]))
    assert digest(environments[0]) != digest(environments[1])


def test_a_generator_that_was_not_used_is_no_value() -> None:
    space = make_vector(vectorization_mode="sync").action_space  # seeded from the operating system
    before = list_paths(space)
    assert space._np_random is not None
    assert digest(space) == digest(make_vector(vectorization_mode="sync").action_space)
    space.sample()
    assert list_paths(space) - before >= {"._np_random.state['state']['state']"}


def test_what_other_processes_hold_is_refused() -> None:
    environment = make_vector(vectorization_mode="async")
    try:
        with pytest.raises(TypeError, match="in other processes and cannot be recorded: record observ"):
            digest(environment)
    finally:
        environment.close()


def test_the_simulator_that_cannot_be_read_is_named() -> None:
    environment = make_environment()
    environment.unwrapped.world = object()
    with pytest.raises(TypeError, match=r"^value\.unwrapped\.world is an object, which cannot"):
        digest(environment)


def test_generators_are_found_and_named() -> None:
    environment, vector = make_environment(), make_vector(vectorization_mode="sync")
    environment.action_space.seed(0)
    vector.reset(seed=0)
    space = spaces.Dict(a=spaces.Discrete(3), b=spaces.Tuple([spaces.Discrete(3)]))
    space.seed(0)
    state = SimpleNamespace(env=environment, envs=vector, space=space)
    found = {each.name.partition(" ")[0]: each for each in find_generators([("state", state)])}
    assert {
        "state.env.unwrapped._np_random",
        "state.env.unwrapped.action_space._np_random",
        "state.envs.envs[1].unwrapped._np_random",
        "state.space._np_random",
        "state.space.spaces['a']._np_random",
        "state.space.spaces['b'].spaces[0]._np_random",
    } <= set(found)
    generator = found["state.env.unwrapped._np_random"]
    saved = generator.read()
    assert saved is not None
    first, _ = environment.reset()
    generator.restore(saved)
    assert environment.reset()[0].tolist() == first.tolist()


PROGRAMS = """
    import gymnasium
    import pytest

    def test_reset(repro):
        env = gymnasium.make("CartPole-v1")
        observation, _ = env.reset()
        repro.record(observation=observation)

    def test_sample(repro):
        env = gymnasium.make("CartPole-v1")
        env.reset(seed=0)
        for _ in range(40):
            action = env.action_space.sample()
            repro.record(action=action)

    def test_seeded(repro):
        env = gymnasium.make("CartPole-v1")
        env.action_space.seed(0)
        observation, _ = env.reset(seed=0)
        repro.record(observation=observation, action=env.action_space.sample())

    @pytest.fixture(scope="module")
    def env():
        env = gymnasium.make("CartPole-v1")
        env.reset(seed=0)
        env.action_space.seed(0)
        return env

    def test_shared_environment(env, repro):
        repro.record(observation=env.reset()[0])

    def test_shared_space(env, repro):
        repro.record(actions=[env.action_space.sample() for _ in range(40)])

    @pytest.fixture(scope="module")
    def envs():
        return gymnasium.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync")

    def test_shared_unseeded_space(envs, repro):
        repro.record(actions=[envs.action_space.sample() for _ in range(40)])
"""


def test_causes(project: Project) -> None:
    project.inquires = True
    result = project(PROGRAMS).check(passed=1, failed=5)
    causes = {test["nodeid"].split("::")[1]: test.get("cause") for test in result.report["tests"]}
    source = (result.folder / "test_it.py").read_text().splitlines()
    reported = {
        name: (cause["name"], source[int(cause["location"].split(":")[1]) - 1].strip())
        for name, cause in causes.items()
        if cause is not None
    }
    assert reported == {
        "test_reset": ("os-entropy", "observation, _ = env.reset()"),
        "test_sample": ("os-entropy", "action = env.action_space.sample()"),
        "test_shared_environment": ("shared-state", '@pytest.fixture(scope="module")'),
        "test_shared_space": ("shared-state", '@pytest.fixture(scope="module")'),
        "test_shared_unseeded_space": ("shared-state", '@pytest.fixture(scope="module")'),
    }
    result.check(
        says=[
            "fix        pass a seed to the first reset: env.reset(seed=0)",
            "fix        before it samples, call seed(0) of the space: env.action_space.seed(0)",
            "fixture env.unwrapped._np_random was drawn",
            "fixture env.unwrapped.action_space._np_random was drawn",
            "fixture envs.action_space._np_random was drawn",
        ]
    )


def test_local_variables(project: Project) -> None:
    result = project(
        """
        import gymnasium

        class Walk(gymnasium.Env):
            action_space = observation_space = gymnasium.spaces.Discrete(5)

            def reset(self, *, seed=None, options=None):
                super().reset(seed=seed)
                self.began, self.place = 0.5, self.np_random.normal(size=3)
                return 0, {}

        def test_a():
            env = Walk()
            env.reset()
        """,
        "--repro-all",
    )
    result.check(failed=1)
    (test,) = result.report["tests"]
    assert {each["name"] for each in test["mismatches"]} >= {
        "locals.env.place",
        "locals.env._np_random.state['state']['state']",
    }
    assert test["not_compared"] == ["env.began (float)"]


def test_a_checkpoint_without_the_generator() -> None:
    def make() -> Any:
        return SimpleNamespace(env=make_environment(), starts=[])

    def train(state: Any, steps: int) -> list[Any]:
        state.starts += [state.env.reset()[0] for _ in range(steps)]
        return list(state.starts[-steps:])

    def save(state: Any) -> list[Any]:
        return list(state.starts)

    def load(state: Any, saved: list[Any]) -> None:
        state.starts = list(saved)

    with pytest.raises(NotReproducible) as error:
        assert_resumable(train, save, load, make=make, at=2, steps=4)
    missing = str(error.value).split("missing", 1)[1]
    assert "state.env.unwrapped._np_random (numpy.random.Generator)" in missing
    assert ".bit_generator.state, .bit_generator.state = …" in missing
