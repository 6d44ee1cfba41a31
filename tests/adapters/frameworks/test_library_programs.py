"""The typical trap of each library: the cause and the line that are reported."""

from __future__ import annotations

from tests.conftest import Project
from tests.plugin.diagnosis.test_causes import read_line, run_programs

EXPECTED = {
    "test_pandas": ("os-entropy", "generator = np.random.default_rng()"),
    "test_polars": ("row-order", 'cities = frame.group_by("city").agg(polars.col("price").sum())'),
    "test_scipy": ("os-entropy", "engine = qmc.Sobol(2)"),
    "test_sklearn": ("os-entropy", "generator = np.random.RandomState()"),
    "test_jax": ("clock", "key = jax.random.key(time.time_ns() % 2**31)"),
    "test_tensorflow": ("os-entropy", "generator = tf.random.Generator.from_non_deterministic_state()"),
    "test_keras": ("os-entropy", "seed = np.random.default_rng().integers(2**31)"),
    "test_xgboost": ("os-entropy", "order = np.random.default_rng().permutation(200)"),
    "test_catboost": ("os-entropy", "order = np.random.default_rng().permutation(200)"),
    "test_gymnasium_reset": ("os-entropy", 'observation, _ = gymnasium.make("CartPole-v1").reset()'),
    "test_gymnasium_sample": (
        "os-entropy",
        "repro.record(actions=[space.sample() for _ in range(9)])",
    ),
    "test_datasets": ("os-entropy", "generator = np.random.default_rng()"),
    "test_xarray": ("os-entropy", "noise = np.random.default_rng().random(3)"),
    "test_h5py": ("clock", 'file.attrs["written"] = time.time()'),
    "test_pyarrow": ("os-entropy", "prices = np.random.default_rng().random(3)"),
}


def test_programs(project: Project) -> None:
    result = run_programs(project, "libraries")
    tests = {test["nodeid"].split("::")[1]: test for test in result.report["tests"]}
    ran = {name: test for name, test in tests.items() if test["verdict"] != "skipped"}
    reported = {
        name: (test["cause"]["name"], read_line(result.folder, test["cause"].get("location")))
        for name, test in ran.items()
    }
    assert reported == {name: EXPECTED[name] for name in ran}
