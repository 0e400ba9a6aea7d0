"""tf2onnx's conversion holds few copies of the weights, and converts to the same model."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import tf2onnx

from foldserve_contract.manifest import Source
from foldserve_exporter.emit import converter_memory, onnx_model
from foldserve_exporter.emit.handlers import handlers
from foldserve_exporter.emit.saved_model import serving_function, tensor_specs
from foldserve_exporter.load.loader import Loaded
from foldserve_exporter.steps.fold import FoldedModel, fold_model

from .models import randomise

layers = keras.layers
ROOT = Path(__file__).parents[2]


def network() -> keras.Model:
    """Kernels of several kinds, two of them above `LARGE_BYTES`, one shared, and a normalization that stays."""
    image = keras.Input((11, 8, 3), name="image")
    x = layers.BatchNormalization()(layers.Conv2D(64, (3, 2), padding="same")(image))
    shared = layers.Conv2D(64, (5, 4), padding="same", activation="relu")
    x = layers.BatchNormalization()(shared(shared(x)))
    x = layers.Conv2DTranspose(24, (5, 9), activation="relu")(x)
    x = layers.LSTM(7)(layers.Reshape((-1, 24))(x))
    return randomise(keras.Model(image, layers.Dense(4, activation="softmax", name="scores")(x)), 8)


@pytest.fixture(scope="module")
def folded() -> FoldedModel:
    return fold_model(Loaded(network(), Source("network", "")))


def converted(folded: FoldedModel) -> Any:
    return onnx_model.convert(serving_function(folded.model, folded.signature), tensor_specs(folded.signature))


def test_the_converted_model_is_the_same(folded: FoldedModel) -> None:
    function, specs = serving_function(folded.model, folded.signature), tensor_specs(folded.signature)
    plain = tf2onnx.convert.from_function(
        function, input_signature=specs, opset=onnx_model.OPSET, custom_op_handlers=handlers()
    )[0]
    bounded = converted(folded)
    assert [node.op_type for node in bounded.graph.node] == [node.op_type for node in plain.graph.node]
    assert weights(bounded) == weights(plain)


def weights(model: Any) -> list[tuple[tuple[int, ...], bytes]]:
    arrays = [onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    return sorted((array.shape, array.tobytes()) for array in arrays)


def test_the_graph_optimizer_sees_no_large_weight(folded: FoldedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    optimize = tf2onnx.tf_loader.tf_optimize

    def measured(inputs: list[str], outputs: list[str], graph: Any) -> Any:
        sizes.append(max(node.ByteSize() for node in graph.node))
        return optimize(inputs, outputs, graph)

    monkeypatch.setattr(tf2onnx.tf_loader, "tf_optimize", measured)
    model = converted(folded)
    assert max(tensor.ByteSize() for tensor in model.graph.initializer) > converter_memory.LARGE_BYTES
    assert sizes and max(sizes) < converter_memory.LARGE_BYTES


def test_tf2onnx_is_left_as_it_was(folded: FoldedModel) -> None:
    before = (tf2onnx.graph.Node.update_proto, tf2onnx.tf_loader.tf_optimize)
    with pytest.raises(ValueError), converter_memory.bounded_memory():
        raise ValueError
    assert (tf2onnx.graph.Node.update_proto, tf2onnx.tf_loader.tf_optimize) == before


PEAK = """
import resource, sys
from contextlib import nullcontext
import keras
from foldserve_contract.manifest import Source
from foldserve_exporter.emit import onnx_model
from foldserve_exporter.emit.handlers import handlers
from foldserve_exporter.emit.saved_model import serving_function, tensor_specs
from foldserve_exporter.load.loader import Loaded
from foldserve_exporter.steps.fold import fold_model

layers = [keras.Input((1024,)), *(keras.layers.Dense(1024) for _ in range(8))]
folded = fold_model(Loaded(keras.Sequential(layers), Source("dense", "")))
function = serving_function(folded.model, folded.signature)
if sys.argv[1] == "unbounded":
    onnx_model.bounded_memory = nullcontext
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
onnx_model.convert(function, tensor_specs(folded.signature))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / (32 * 1024))
"""


def copies(how: str) -> float:
    """The copies of 32 MiB of weights that a conversion in a fresh process adds to its peak."""
    command = [sys.executable, "-c", PEAK, how]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_conversion_holds_fewer_than_half_as_many_copies_of_the_weights() -> None:
    assert copies("bounded") < copies("unbounded") / 2


def test_a_weight_that_is_the_output_itself_stays_where_it_is() -> None:
    constant = np.ones((300, 300), np.float32)
    graph = graph_of({"weight": constant})
    light, weights = converter_memory._take_weights(graph, {"weight"})
    assert light.node == graph.node and not weights
    assert converter_memory._take_weights(graph, set())[1].keys() == {"weight"}


def graph_of(constants: dict[str, Any]) -> Any:
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        for name, value in constants.items():
            tf.constant(value, name=name)
    return graph.as_graph_def()
