"""TimeDistributed over an open number of steps, and interpolation at open sizes: Keras computes them eagerly alone."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from foldserve_contract.bundle import Bundle
from foldserve_engine.load import load_engine
from foldserve_engine.spec import EngineKind
from foldserve_exporter import export_model
from foldserve_exporter.errors import Refused
from foldserve_exporter.folding.fold_model import fold_graph
from foldserve_exporter.graph import rebuild, trace
from foldserve_exporter.naming import NamedModel
from foldserve_exporter.tracing import traced
from tests.exporter.models import flat, randomise

L = keras.layers
IMAGE = (8, 6, 3)


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def cnn(*shape: int | None) -> Any:
    """One image's features, with a BatchNormalization that has negative gains."""
    convolution = L.Conv2D(5, (3, 2), use_bias=False, name="conv")
    layers = [convolution, L.BatchNormalization(name="bn"), L.ReLU(), L.MaxPooling2D(2)]
    return keras.Sequential([keras.Input(shape), *layers, L.GlobalAveragePooling2D()], name="cnn")


def frames_then_recurrent() -> Any:
    film = keras.Input((None, *IMAGE))
    return keras.Model(film, L.LSTM(4)(L.TimeDistributed(cnn(*IMAGE), name="frames")(film)))


def frames_of_any_size() -> Any:
    film = keras.Input((None, None, None, 3))
    return keras.Model(film, L.GRU(4)(L.TimeDistributed(cnn(None, None, 3))(film)))


def four_frames_of_any_size() -> Any:
    film = keras.Input((4, None, None, 3))
    return keras.Model(film, L.GRU(4)(L.TimeDistributed(cnn(None, None, 3))(film)))


def frames_layer_by_layer() -> Any:
    x = film = keras.Input((None, *IMAGE))
    for layer in (L.Conv2D(4, (3, 2)), L.BatchNormalization(), L.ReLU(), L.Flatten(), L.Dropout(0.5), L.Dense(5)):
        x = L.TimeDistributed(layer)(x)
    return keras.Model(film, x)


def scenes_of_frames() -> Any:
    films = keras.Input((None, None, *IMAGE))
    x = L.TimeDistributed(L.LSTM(4))(L.TimeDistributed(L.TimeDistributed(cnn(*IMAGE)))(films))
    return keras.Model(films, L.GRU(3)(L.BatchNormalization()(x)))


def normalized_around_the_frames() -> Any:
    film = keras.Input((None, *IMAGE))
    x = L.TimeDistributed(L.Conv2D(4, 3))(L.BatchNormalization()(film))
    return keras.Model(film, L.GlobalAveragePooling3D()(L.BatchNormalization()(x)))


def masked_steps() -> Any:
    series = keras.Input((None, 4))
    step = [keras.Input((4,)), L.Dense(6), L.BatchNormalization(), L.Reshape((3, 2)), L.Conv1D(3, 2), L.Flatten()]
    return keras.Model(series, L.LSTM(3)(L.TimeDistributed(keras.Sequential(step))(L.Masking()(series))))


def interpolated(method: str) -> Any:
    image = keras.Input((None, None, 3))
    x = L.UpSampling2D((2, 3), interpolation=method)(L.Conv2D(4, 3, padding="same")(image))
    return keras.Model(image, L.Conv2D(2, 3, padding="same")(L.BatchNormalization()(x)))


def interpolated_channels_first() -> Any:
    image = keras.Input((3, None, None))
    convolved = L.Conv2D(4, 3, padding="same")(L.Permute((2, 3, 1))(image))
    x = L.UpSampling2D(2, data_format="channels_first", interpolation="bilinear")(L.Permute((3, 1, 2))(convolved))
    return keras.Model(image, L.BatchNormalization(axis=1)(x))


MODELS: dict[str, tuple[Any, list[tuple[int, ...]], list[str]]] = {
    "frames": (frames_then_recurrent, [(2, 3, *IMAGE), (3, 1, *IMAGE), (1, 5, *IMAGE)], ["backward"]),
    "any_size": (frames_of_any_size, [(2, 3, 8, 6, 3), (3, 2, 7, 9, 3)], ["backward"]),
    "four_frames": (four_frames_of_any_size, [(2, 4, 8, 6, 3), (3, 4, 7, 9, 3)], ["backward"]),
    "layers": (frames_layer_by_layer, [(2, 3, *IMAGE), (3, 1, *IMAGE)], ["backward"]),
    "scenes": (scenes_of_frames, [(2, 3, 4, *IMAGE), (3, 2, 1, *IMAGE)], ["backward", "forward"]),
    "around": (normalized_around_the_frames, [(2, 3, *IMAGE), (3, 4, *IMAGE)], ["forward", "backward"]),
    "bilinear": (lambda: interpolated("bilinear"), [(2, 7, 5, 3), (1, 1, 4, 3)], ["backward"]),
    "bicubic": (lambda: interpolated("bicubic"), [(2, 7, 5, 3), (1, 4, 1, 3)], ["backward"]),
    "first": (interpolated_channels_first, [(2, 3, 7, 5)], ["backward"]),
}


@pytest.mark.parametrize("name", MODELS)
def test_open_sizes_are_served_as_keras_answers(name: str) -> None:
    build, shapes, actions = MODELS[name]
    model = randomise(build())
    graph, plan = fold_graph(trace(model))
    named = NamedModel.of(rebuild(graph), graph)
    serve, exact = traced(named, training=False), rebuild(trace(model), "float64")
    for shape in shapes:
        x = draw(*shape)
        wanted, (answer,) = flat(model(x, training=False))[0], serve({named.inputs[0]: x}).values()
        assert answer.shape == wanted.shape and np.ptp(wanted) > 1e-3
        np.testing.assert_allclose(answer, wanted, rtol=0, atol=2e-5 * np.abs(wanted).max())
        np.testing.assert_allclose(flat(exact(x, training=False))[0], wanted, rtol=0, atol=2e-5 * np.abs(wanted).max())
    assert [entry.action for entry in plan] == actions


@pytest.mark.filterwarnings("ignore:.*mask attached")
def test_a_mask_goes_past_the_merged_steps() -> None:
    model = randomise(masked_steps())
    rows = draw(3, 5, 4)
    rows[0, 2:] = 0
    folded, plan = fold_graph(trace(model))
    named = NamedModel.of(rebuild(folded), folded)
    (answer,) = traced(named, training=False)({named.inputs[0]: rows}).values()
    np.testing.assert_allclose(answer, flat(model(rows))[0], rtol=0, atol=1e-6)
    unmasked = flat(model(np.where(rows == 0, np.float32(1e-6), rows)))[0]
    assert np.abs(unmasked - answer).max() > 1e-3
    assert [entry.action for entry in plan] == ["backward"]


def test_a_layer_that_reads_the_mask_of_each_step_is_refused_over_open_steps() -> None:
    series = keras.Input((None, 4, 3))
    masked = L.Masking()(L.TimeDistributed(L.Flatten())(series))
    x = L.TimeDistributed(keras.Sequential([keras.Input((12,)), L.Reshape((4, 3)), L.LSTM(2)]), name="steps")(masked)
    with pytest.raises(Refused, match=r"steps: over an open number of steps .* reads the mask of each step"):
        trace(keras.Model(series, x))


def film_of_any_size() -> Any:
    """Features at twice the size, for each frame of a film, with everything open."""
    film = keras.Input((None, None, None, 3), name="film")
    frame = keras.Input((None, None, 3))
    x = L.BatchNormalization(name="bn")(L.Conv2D(4, (3, 2), padding="same", name="conv")(frame))
    x = L.UpSampling2D(2, interpolation="bilinear", name="up")(L.ReLU()(x))
    inner = keras.Model(frame, L.GlobalMaxPooling2D()(L.Conv2D(3, 3)(x)))
    return randomise(keras.Model(film, L.TimeDistributed(inner, name="frames")(film)))


@pytest.mark.filterwarnings("ignore")
def test_both_artifacts_answer_at_sizes_that_nobody_verified(tmp_path: Path) -> None:
    model = film_of_any_size()
    exported = export_model(model, tmp_path, "film", samples=draw(32, 3, 9, 7, 3), golden=4)
    assert [(entry.bn, entry.action) for entry in exported.report.fold] == [("frames/bn", "backward")]
    bundle = Bundle.open(exported.path)
    for kind in (EngineKind.ONNXRUNTIME, EngineKind.TENSORFLOW):
        engine = load_engine(bundle, kind)
        for shape in ((2, 1, 6, 11, 3), (1, 5, 12, 4, 3)):
            (answer,) = engine.run({"film": draw(*shape)}).values()
            wanted = flat(model(draw(*shape), training=False))[0]
            np.testing.assert_allclose(answer, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_a_keras_file_with_layers_of_the_exporters_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"--keep-keras: frames/rows works on open sizes"):
        export_model(film_of_any_size(), tmp_path, "film", keep_keras=True)
    assert not list(tmp_path.iterdir())
