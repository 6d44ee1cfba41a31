"""Typical traps of libraries: each program needs one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def test_pandas(repro: Any) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"price": np.arange(100.0)})
    generator = np.random.default_rng()
    repro.record(sample=frame.sample(10, random_state=generator))


def test_polars(repro: Any) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"city": np.arange(20_000) % 5_000, "price": np.ones(20_000)})
    cities = frame.group_by("city").agg(polars.col("price").sum())
    repro.record(cities=cities)


def test_scipy(repro: Any) -> None:
    qmc = pytest.importorskip("scipy.stats.qmc")
    engine = qmc.Sobol(2)
    repro.record(points=engine.random(4))


def test_sklearn(repro: Any) -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    linear = pytest.importorskip("sklearn.linear_model")
    generator = np.random.RandomState()
    train, _ = selection.train_test_split(np.arange(40.0).reshape(20, 2), random_state=generator)
    repro.record(model=linear.Ridge().fit(train, train[:, 0]))


def test_jax(repro: Any) -> None:
    jax = pytest.importorskip("jax")
    key = jax.random.key(time.time_ns() % 2**31)
    repro.record(noise=jax.random.normal(key, (3,)))


def test_tensorflow(repro: Any) -> None:
    tf = pytest.importorskip("tensorflow")
    generator = tf.random.Generator.from_non_deterministic_state()
    repro.record(noise=generator.normal([3]))


def test_keras(repro: Any) -> None:
    keras = pytest.importorskip("keras")
    seed = np.random.default_rng().integers(2**31)
    layer = keras.layers.Dense(2, kernel_initializer=keras.initializers.GlorotUniform(int(seed)))
    layer.build((1, 3))
    repro.record(layer=layer)


def test_xgboost(repro: Any) -> None:
    xgboost = pytest.importorskip("xgboost")
    table = np.arange(400.0).reshape(200, 2)
    order = np.random.default_rng().permutation(200)
    model = xgboost.XGBRegressor(n_estimators=3, subsample=0.5, n_jobs=1)
    repro.record(model=model.fit(table[order], table[order, 0]))


def test_catboost(repro: Any) -> None:
    catboost = pytest.importorskip("catboost")
    table = np.arange(400.0).reshape(200, 2)
    order = np.random.default_rng().permutation(200)
    model = catboost.CatBoostRegressor(iterations=3, verbose=0, allow_writing_files=False, thread_count=1)
    repro.record(model=model.fit(table[order], table[order, 0]))


def test_gymnasium_reset(repro: Any) -> None:
    gymnasium = pytest.importorskip("gymnasium")
    observation, _ = gymnasium.make("CartPole-v1").reset()
    repro.record(observation=observation)


def test_gymnasium_sample(repro: Any) -> None:
    gymnasium = pytest.importorskip("gymnasium")
    space = gymnasium.spaces.Discrete(1000)
    repro.record(actions=[space.sample() for _ in range(9)])


def test_datasets(repro: Any) -> None:
    datasets = pytest.importorskip("datasets")
    texts = datasets.Dataset.from_dict({"text": [str(number) for number in range(50)]})
    generator = np.random.default_rng()
    repro.record(texts=texts.shuffle(generator=generator))


def test_xarray(repro: Any) -> None:
    xarray = pytest.importorskip("xarray")
    noise = np.random.default_rng().random(3)
    repro.record(field=xarray.DataArray(noise, dims="time", coords={"time": [1, 2, 3]}))


def test_h5py(repro: Any, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file["x"] = np.arange(3.0)
        file.attrs["written"] = time.time()
        repro.record(file=file)


def test_pyarrow(repro: Any) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    prices = np.random.default_rng().random(3)
    repro.record(table=pyarrow.table({"price": prices}))
