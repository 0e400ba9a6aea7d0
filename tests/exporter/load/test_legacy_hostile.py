"""A Keras 2 file that names what is not a pure function of tensors is refused by name, and nothing of it runs."""

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from foldserve_exporter.errors import CannotLoad, Refused
from foldserve_exporter.graph import TensorFlowFunction
from foldserve_exporter.graph.public_functions import find_function
from foldserve_exporter.load.loader import load_model

from .old_files import edited, old_keras, saved

with old_keras() as tf_keras:
    L = tf_keras.layers

EFFECTS = [
    "io.write_file", "io.read_file", "io.matching_files", "io.decode_raw", "io.serialize_tensor",
    "io.gfile.remove", "io.gfile.rmtree", "compat.v1.write_file", "compat.v1.read_file",
    "compat.v1.matching_files", "compat.v1.gfile.GFile", "py_function", "numpy_function", "compat.v1.py_func",
    "compat.v1.py_function", "map_fn", "vectorized_map", "while_loop", "cond", "scan", "foldl", "foldr",
    "switch_case", "case", "custom_gradient", "recompute_grad", "function", "compat.v1.wrap_function",
    "nondifferentiable_batch_function", "load_library", "load_op_library", "compat.v1.load_file_system_library",
    "saved_model.load", "saved_model.save", "keras.utils.get_file", "keras.models.load_model", "import_graph_def",
    "compat.v1.import_graph_def", "print", "compat.v1.Print", "compat.v1.print", "Assert",
    "debugging.assert_equal", "debugging.enable_check_numerics", "timestamp", "raw_ops.WriteFile",
    "raw_ops.ReadFile", "raw_ops.PyFunc", "raw_ops.EagerPyFunc", "raw_ops.Relu", "compat.v1.raw_ops.Relu",
    "data.Dataset", "data.TextLineDataset", "data.experimental.save", "rpc_call", "rpc_server", "xla_custom_call",
    "xla_all_reduce", "Variable", "compat.v1.get_variable", "compat.v1.assign", "compat.v1.scatter_update",
    "lookup.StaticHashTable", "random.normal", "random.uniform", "compat.v1.random_normal", "random_index_shuffle",
    "audio.decode_wav", "sysconfig.get_lib", "config.run_functions_eagerly", "distribute.get_strategy",
    "autograph.to_graph", "profiler.experimental.start", "summary.image", "nest.map_structure", "device",
    "init_scope", "control_dependencies", "register_tensor_conversion_function", "strings.join",
    "strings.regex_replace", "strings.to_number", "as_string", "compat.v1.string_to_number", "__class__",
    "__dict__", "math.__dict__", "math.abs.__globals__", "nn.relu.__class__", "_api.v2.math.abs",
    "python.ops.io_ops.read_file", "Tensor.__class__", "RaggedTensor.from_tensor", "keras.backend.function", "io",
    "math", ".", "..", "math.", "nope.nope", "os.system", "builtins.eval",
]  # fmt: skip


def model_with(name: str, folder: Path) -> Path:
    """A file whose function was exchanged for another: it would write `harm.txt`, where it writes at all."""
    entry = L.Input((4,), name="x")
    model = tf_keras.Model(entry, tf.maximum(entry, 1.0))
    harm = str(folder / "harm.txt")

    def exchange(config: Any) -> None:
        layer = config["config"]["layers"][-1]
        layer["config"]["function"] = name
        layer["inbound_nodes"] = [["_CONSTANT_VALUE", -1, harm, {"contents": "harm", "y": ["x", 0, 0]}]]

    return edited(saved(model, folder / "model.h5"), folder / "hostile.h5", exchange)


@pytest.mark.parametrize("name", EFFECTS)
def test_a_function_with_effects_is_refused_before_it_is_called(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused, match=r"layer 'tf\.math\.maximum\w*' applies tf\."):
        load_model(model_with(name, tmp_path), trust_code=True)
    assert not (tmp_path / "harm.txt").exists()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("nn.dropout", {"rate": 0.5}),
        ("image.random_brightness", {"max_delta": 0.2}),
        ("image.stateless_random_brightness", {"max_delta": 0.2, "seed": [1, 2]}),
        ("nn.fractional_max_pool", {"pooling_ratio": [1.0, 1.5, 1.5, 1.0]}),
    ],
)
def test_chance_is_refused_by_the_operation(tmp_path: Path, name: str, arguments: dict[str, Any]) -> None:
    entry = L.Input((6, 6, 3), name="x")
    path = saved(tf_keras.Model(entry, tf.sin(entry)), tmp_path / "sine.h5")

    def exchange(config: Any) -> None:
        layer = config["config"]["layers"][-1]
        layer["config"]["function"] = name
        layer["inbound_nodes"] = [["x", 0, 0, arguments]]

    with pytest.raises(Refused, match=rf"layer 'tf\.math\.sin\w*': tf\.{name} makes the operation \w+: it"):
        load_model(edited(path, tmp_path / "random.h5", exchange))


def test_a_keras_3_file_is_held_to_the_same_functions(tmp_path: Path) -> None:
    entry = keras.Input((4,))
    layer = TensorFlowFunction("math.sinh", ["tuple", [["tuple", [["tensor", 0]]], ["dict", []]]], name="sinh")
    model = keras.Model(entry, layer([entry]))
    model.save(tmp_path / "good.keras")
    x = np.ones((2, 4), "f")
    np.testing.assert_allclose(load_model(tmp_path / "good.keras").model.predict(x, verbose=0), np.sinh(x), rtol=1e-6)

    with zipfile.ZipFile(tmp_path / "good.keras") as good, zipfile.ZipFile(tmp_path / "bad.keras", "w") as bad:
        for item in good.namelist():
            content = good.read(item)
            bad.writestr(item, content.replace(b"math.sinh", b"io.read_file") if item == "config.json" else content)
    with pytest.raises((Refused, CannotLoad), match=r"tf\.io\.read_file"):
        load_model(tmp_path / "bad.keras")


def test_arguments_that_keras_2_loses_are_named(tmp_path: Path) -> None:
    entry = L.Input((7, 4))
    for number, result in enumerate((tf.einsum("bij,bkj->bik", entry, entry), entry == entry[:, :1])):
        path = saved(tf_keras.Model(entry, result), tmp_path / f"{number}.h5")
        with pytest.raises(Refused, match=r"lacks its argument '(inputs|other)'"):
            load_model(path)


def test_what_is_allowed_is_what_the_field_would_call_pure() -> None:
    allowed = ["math.tanh", "nn.relu", "image.resize", "linalg.matmul", "split", "compat.v1.shape", "signal.stft"]
    assert all(callable(find_function(name)) for name in allowed)


def test_the_names_are_those_of_files(tmp_path: Path) -> None:
    path = model_with("nn.relu", tmp_path)
    with h5py.File(path) as file:
        assert json.loads(file.attrs["model_config"])["config"]["layers"][-1]["config"]["function"] == "nn.relu"
