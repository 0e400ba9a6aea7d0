"""Statistics estimated anew are those of each layer's inputs in service."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from foldserve_exporter import recalibrate
from foldserve_exporter.errors import Refused
from foldserve_exporter.graph import trace
from foldserve_exporter.load.loader import load_model
from foldserve_exporter.recalibration import recalibrate as module
from foldserve_exporter.recalibration.estimate import estimate
from foldserve_exporter.recalibration.recalibrate import TooFewSamples
from foldserve_exporter.samples.files import SamplesError

from ..digits import accuracy, digits, healthy, held_back
from ..models import randomise, snapshot

layers = keras.layers
LEGACY = Path(__file__).parents[4] / "shared" / "legacy"


def draw(*shape: int, seed: int = 4) -> Any:
    return np.random.default_rng(seed).normal(0.7, 2, shape).astype(np.float32)


def deep() -> Any:
    """A branch, a shortcut, a nested model, a one-dimensional and a grouped-axis normalisation, no bias anywhere."""
    image = keras.Input((7, 9, 3), name="image")
    inner = keras.Input((7, 9, 5))
    nested = keras.Model(
        inner, layers.BatchNormalization(name="bn")(layers.Conv2D(5, 3, padding="same")(inner)), name="nested"
    )
    x = layers.ReLU()(layers.BatchNormalization(name="bn")(layers.Conv2D(5, (2, 3), padding="same")(image)))
    x = layers.Add()([layers.ReLU()(nested(x)), x])
    left = layers.BatchNormalization(name="left", scale=False)(layers.Conv2D(4, 1)(x))
    right = layers.BatchNormalization(name="right", axis=1)(layers.DepthwiseConv2D(3)(x))
    pooled = [layers.GlobalAveragePooling2D()(branch) for branch in (left, right)]
    x = layers.Dropout(0.5)(layers.Concatenate()(pooled))
    x = layers.BatchNormalization(name="vectors", renorm=True)(layers.Dense(6)(x))
    return randomise(keras.Model(image, layers.Dense(2, name="scores")(x)))


def seen_in_service(model: Any, samples: Any) -> list[tuple[Any, Any, Any]]:
    """Every layer, with the mean and variance of its inputs in inference as Keras computes them independently."""
    statistics = []
    everything = [layer for layer in model._flatten_layers() if isinstance(layer, layers.BatchNormalization)]
    for layer in everything:
        inputs: list[Any] = []
        original = layer.call

        def spy(x: Any, *args: Any, original: Any = original, inputs: list[Any] = inputs, **kwargs: Any) -> Any:
            inputs.append(np.asarray(x, np.float64))
            return original(x, *args, **kwargs)

        layer.call = spy
        try:
            model(samples, training=False)
        finally:
            layer.call = original
        channels = [np.moveaxis(x, layer.axis, -1).reshape(-1, x.shape[layer.axis]) for x in inputs]
        statistics.append((layer, np.concatenate(channels).mean(axis=0), np.concatenate(channels).var(axis=0)))
    return statistics


def test_every_layer_has_the_statistics_of_what_it_sees_in_service() -> None:
    model, samples = deep(), draw(70, 7, 9, 3)
    done = recalibrate(model, samples)
    names = done.apply_to(model)
    assert len(names) == len(set(names)) == 5
    seen = seen_in_service(model, samples)
    assert len(seen) == 5
    for layer, mean, variance in seen:
        np.testing.assert_allclose(np.array(layer.moving_mean), mean, atol=1e-5 * np.sqrt(variance).max())
        np.testing.assert_allclose(np.array(layer.moving_variance), variance, rtol=1e-4)
    renorm = model.get_layer("vectors")
    deviation = np.sqrt(np.array(renorm.moving_variance) + renorm.epsilon)
    for variable in (renorm.moving_stddev, renorm.renorm_stddev):
        np.testing.assert_allclose(np.array(variable), deviation, rtol=1e-5)


def test_neither_memory_nor_batch_size_changes_the_result() -> None:
    graph, samples = trace(deep()), {"image": draw(70, 7, 9, 3)}
    wide = estimate(graph, samples)
    for narrow in (estimate(graph, samples, memory=0), estimate(graph, samples, batch_size=9, memory=40_000)):
        for first, second in zip(wide.layers, narrow.layers, strict=True):
            np.testing.assert_allclose(first.mean, second.mean, atol=1e-5)
            np.testing.assert_allclose(first.variance, second.variance, rtol=1e-4)


def test_a_model_is_as_it_was_until_it_is_told_otherwise() -> None:
    model = deep()
    before = snapshot(model)
    done = recalibrate(model, draw(40, 7, 9, 3))
    assert snapshot(model) == before
    done.apply_to(model)
    after = snapshot(model)
    assert after != before
    assert after[1:] == before[1:]  # flags and configuration
    moved = {old[0] for old, new in zip(before[0], after[0], strict=True) if old != new}
    assert all(any(word in path for word in ("moving_", "renorm_")) for path in moved)


def test_calls_of_a_shared_layer_are_pooled() -> None:
    first, second = keras.Input((6,), name="first"), keras.Input((6,), name="second")
    shared = layers.BatchNormalization(name="shared")
    model = randomise(keras.Model([first, second], layers.Add()([shared(first), shared(second)])))
    a, b = draw(40, 6, seed=1), draw(40, 6, seed=2) * 3 + 5
    layer = recalibrate(model, {"first": a, "second": b}).layers[0]
    both = np.concatenate([a, b]).astype(np.float64)
    assert layer.count == 80
    np.testing.assert_allclose(layer.mean, both.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(layer.variance, both.var(axis=0), rtol=1e-12)


def test_a_shared_layer_that_feeds_itself_settles() -> None:
    image = keras.Input((5, 4), name="x")
    shared = layers.BatchNormalization(name="shared")
    hidden = layers.Dense(4, activation="tanh")(shared(image))
    model = randomise(keras.Model(image, layers.Dense(2)(shared(hidden))))
    samples = draw(60, 5, 4)
    recalibrate(model, samples).apply_to(model)
    [(layer, mean, variance)] = seen_in_service(model, samples)
    np.testing.assert_allclose(np.array(layer.moving_mean), mean, atol=2e-3)
    np.testing.assert_allclose(np.array(layer.moving_variance), variance, rtol=2e-3)


def test_frozen_layers_are_recalibrated_too_and_stay_frozen() -> None:
    model = deep()
    model.trainable = False
    samples = draw(40, 7, 9, 3)
    done = recalibrate(model, samples)
    done.apply_to(model)
    assert not any(layer.trainable for layer in model._flatten_layers(include_self=False))
    assert all(layer.shift.max() < 1e-5 for layer in recalibrate(model, samples).layers)


def test_what_cannot_be_recalibrated_is_refused_by_name() -> None:
    model = deep()
    with pytest.raises(TooFewSamples, match="at least 32 samples, received 31"):
        recalibrate(model, draw(31, 7, 9, 3))
    with pytest.raises(SamplesError, match="7, 9, 3"):
        recalibrate(model, draw(40, 9, 7, 3))
    plain = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    with pytest.raises(Refused, match="no BatchNormalization"):
        recalibrate(plain, draw(40, 3))
    model.layers[1].kernel.assign(np.full(model.layers[1].kernel.shape, np.nan))
    with pytest.raises(Refused, match="bn: its input is not finite"):
        recalibrate(model, draw(40, 7, 9, 3))


def test_masked_normalisation_is_refused() -> None:
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    x = layers.BatchNormalization(name="masked")(layers.Embedding(9, 4, mask_zero=True)(tokens))
    model = keras.Model(tokens, layers.GlobalAveragePooling1D()(x))
    with pytest.raises(Refused, match="masked: it may be fed with a mask"):
        recalibrate(model, np.random.default_rng(0).integers(0, 9, (40, 6)))


def test_what_comes_after_a_mask_has_been_used_up_is_recalibrated() -> None:
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = layers.LSTM(6)(layers.Embedding(9, 4, mask_zero=True)(tokens))
    model = randomise(keras.Model(tokens, layers.Dense(2)(layers.BatchNormalization(name="after")(x))))
    given = np.random.default_rng(0).integers(0, 9, (70, 6)).astype(np.int32)
    assert recalibrate(model, given).apply_to(model) == ("after",)
    ((layer, mean, variance),) = seen_in_service(model, given)
    np.testing.assert_allclose(np.array(layer.moving_mean), mean, atol=1e-5)
    np.testing.assert_allclose(np.array(layer.moving_variance), variance, rtol=1e-4)


def test_nothing_is_written_where_one_layer_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    done = recalibrate(deep(), draw(40, 7, 9, 3))
    other = healthy()
    before = snapshot(other)
    with pytest.raises(Refused, match="no such BatchNormalization; it was not changed"):
        done.apply_to(other)
    assert snapshot(other) == before
    model = deep()
    before = snapshot(model)

    def misfit(layer: Any, statistics: Any) -> Any:
        values = original(layer, statistics)
        if statistics.path == "vectors":
            values = {key: (variable, value[:-1]) for key, (variable, value) in values.items()}
        return values

    original = module._values
    monkeypatch.setattr(module, "_values", misfit)
    with pytest.raises(ValueError, match="shape"):
        done.apply_to(model)
    assert snapshot(model) == before


def test_a_healthy_model_stays_as_good_as_it_is() -> None:
    model = healthy()
    images, labels = digits()
    done = recalibrate(model, images[:600], labels=labels[:600])
    assert done.made_worse == ()
    assert done.after["probabilities"].fit > done.before["probabilities"].fit - 0.01
    held, wanted = held_back()
    before = accuracy(model.predict(held, verbose=0), wanted)
    done.apply_to(model)
    assert accuracy(model.predict(held, verbose=0), wanted) > before - 0.01


def test_labels_tell_where_a_frozen_backbone_should_be_left_alone() -> None:
    model = healthy()
    images, labels = held_back()
    done = recalibrate(model, (0.05 * images + 3 * np.sign(images - 0.5)).astype(np.float32), labels=labels)
    assert done.before.keys() == done.after.keys() == {"probabilities"}
    assert done.samples == 300
    assert len(done.sha256) == 64


SICK = {"keras-2.1.6/residual": 0.5999, "tfkeras-2.10.1/separable": 0.9416, "tfkeras-2.10.1/branches": 0.9622}


@pytest.mark.parametrize(
    "name", ["tfkeras-2.10.1/branches", *(pytest.param(n, marks=pytest.mark.slow) for n in list(SICK)[:2])]
)
def test_sick_models_of_old_keras_become_as_good_as_they_were_in_training(name: str) -> None:
    if not LEGACY.is_dir():
        pytest.skip(f"{LEGACY} is not here")
    data = load_digits()
    images = (data.images / 16).repeat(2, axis=1).repeat(2, axis=2)[..., np.newaxis].astype(np.float32)
    model = load_model(LEGACY / f"{name}.h5").model
    sick = accuracy(model.predict(images, verbose=0), data.target)
    recalibrate(model, images).apply_to(model)
    assert sick < SICK[name] - 0.2
    assert accuracy(model.predict(images, verbose=0), data.target) > SICK[name] - 0.03
