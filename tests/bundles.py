"""Small sealed bundles for tests: random weights, golden samples, a manifest."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, TensorProto, helper, numpy_helper

from foldserve_contract import tolerance
from foldserve_contract.bundle import GOLDEN, MANIFEST, ONNX
from foldserve_contract.digest import seal_file, sha256
from foldserve_contract.golden import Golden
from foldserve_contract.manifest import GoldenInfo, Manifest, OutputTolerance, SealedFile, Source, VerifiedEngine
from foldserve_contract.publish import stage
from foldserve_contract.signature import DEFAULT_SIGNATURE, DYNAMIC, Array, Signature, TensorSpec

CREATED = "2026-01-01T00:00:00Z"


def make_bundle(
    root: Path,
    name: str = "m",
    version: int | None = None,
    *,
    model: ModelProto | None = None,
    seed: int = 0,
    samples: int = 8,
    max_batch_size: int = 32,
    labels: tuple[str, ...] | None = None,
    saved_model: bool = False,
    force: bool = False,
) -> Path:
    """Publishes a bundle and gives its version directory.

    Args:
        root: The model repository.
        name: The model's name.
        version: By default the next free number.
        model: The ONNX model; by default `conv_model(seed)`. Another seed is another set of weights.
        seed: Seed of the weights and of the golden samples.
        samples: How many golden samples.
        max_batch_size: What the manifest says was verified.
        labels: The labels of the classes.
        saved_model: Whether a SavedModel that gives the same answers is added; needs `dense_model`, takes seconds.
        force: Whether an existing version is replaced.
    """
    model = conv_model(seed) if model is None else model
    signature = signature_of(model)
    golden = golden_samples(model, signature, samples, seed)
    with stage(root, name, version, force=force) as staging:
        (staging.path / ONNX).write_bytes(model.SerializeToString())
        (staging.path / GOLDEN).write_bytes(golden.to_bytes())
        if saved_model:
            _save_dense(model, staging.path)
        manifest = _manifest(name, staging.version, signature, golden, staging.seal(), max_batch_size, labels)
        return staging.publish(manifest, force=force)


def dense_model(seed: int = 0, features: int = 4, classes: int = 3) -> ModelProto:
    """`features` [-1, features] to `scores` [-1, classes]: one matrix product and a bias."""
    draw = np.random.default_rng(seed)
    nodes = [
        helper.make_node("MatMul", ["features", "kernel"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["scores"]),
    ]
    weights = {"kernel": draw.normal(size=(features, classes)), "bias": draw.normal(size=classes)}
    return _model(nodes, {"features": ("n", features)}, {"scores": ("n", classes)}, weights)


def conv_model(seed: int = 0, side: int = 8, classes: int = 5) -> ModelProto:
    """`image` [-1, side, side, 3] to `scores` [-1, classes]: convolution, ReLU, mean, matrix product, softmax."""
    draw = np.random.default_rng(seed)
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "filters"], ["convolved"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["convolved"], ["rectified"]),
        helper.make_node("GlobalAveragePool", ["rectified"], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("Gemm", ["flat", "kernel", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
    ]
    weights = {
        "filters": draw.normal(size=(6, 3, 3, 3)),
        "kernel": draw.normal(size=(6, classes)),
        "bias": draw.normal(size=classes),
    }
    return _model(nodes, {"image": ("n", side, side, 3)}, {"scores": ("n", classes)}, weights)


def bytes_model(seed: int = 0, features: int = 4, classes: int = 3) -> ModelProto:
    """`features` [-1, features] of uint8 to `scores` [-1, classes]: one matrix product."""
    model = dense_model(seed, features, classes)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.node[0].input[0] = "numbers"
    model.graph.node.insert(0, helper.make_node("Cast", ["features"], ["numbers"], to=TensorProto.FLOAT))
    return model


def sequence_model(seed: int = 0, features: int = 4, classes: int = 3, repeat: int = 1) -> ModelProto:
    """`steps` [-1, -1, features] to `scores` [-1, -1, classes]: the second dimension is dynamic, `repeat` times it."""
    draw = np.random.default_rng(seed)
    nodes = [
        helper.make_node("MatMul", ["steps", "kernel"], ["product"]),
        helper.make_node("Concat", ["product"] * repeat, ["scores"], axis=1),
    ]
    weights = {"kernel": draw.normal(size=(features, classes))}
    return _model(nodes, {"steps": ("n", "t", features)}, {"scores": ("n", "u", classes)}, weights)


def two_headed_model(seed: int = 0, left: int = 4, right: int = 2) -> ModelProto:
    """`left` [-1, left] and `right` [-1, right] to `joined` [-1, left + right] and `product` [-1, 3]."""
    draw = np.random.default_rng(seed)
    nodes = [
        helper.make_node("Concat", ["left", "right"], ["joined"], axis=1),
        helper.make_node("MatMul", ["joined", "kernel"], ["product"]),
    ]
    outputs: dict[str, tuple[int | str, ...]] = {"joined": ("n", left + right), "product": ("n", 3)}
    weights = {"kernel": draw.normal(size=(left + right, 3))}
    return _model(nodes, {"left": ("n", left), "right": ("n", right)}, outputs, weights)


def signature_of(model: ModelProto) -> Signature:
    """The names, dtypes and shapes of the graph's inputs and outputs; a named dimension is dynamic."""
    return Signature(
        tuple(_spec(value) for value in model.graph.input), tuple(_spec(value) for value in model.graph.output)
    )


def golden_samples(model: ModelProto, signature: Signature, rows: int, seed: int = 0) -> Golden:
    """Random inputs, and what ONNX Runtime answers without optimisation; a dynamic dimension is 3."""
    draw = np.random.default_rng(seed + 1)
    inputs = {spec.name: random_rows(spec, rows, draw) for spec in signature.inputs}
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), sess_options=options, providers=["CPUExecutionProvider"]
    )
    names = [spec.name for spec in signature.outputs]
    return Golden(inputs, dict(zip(names, session.run(names, inputs), strict=True)))


def random_rows(spec: TensorSpec, rows: int, draw: np.random.Generator) -> Array:
    """Rows that fit a spec: normal for floats, small non-negative numbers for integers; a dynamic dimension is 3."""
    shape = (rows, *(3 if size == DYNAMIC else size for size in spec.row_shape))
    values = draw.normal(size=shape) if spec.dtype.startswith("float") else draw.integers(0, 2, size=shape)
    return values.astype(spec.dtype)


def reseal(path: Path) -> None:
    """Writes the manifest of a changed version directory anew, so that every digest is right."""
    manifest = json.loads((path / MANIFEST).read_bytes())
    files = [file for file in sorted(path.rglob("*")) if file.is_file() and file.name != MANIFEST]
    sealed = [seal_file(path, file) for file in files]
    manifest["files"] = [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in sealed]
    (path / MANIFEST).write_text(json.dumps(manifest))


def change_weight(path: Path, name: str = "kernel", by: float = 0.01) -> None:
    """Adds `by` to the first element of one weight of the ONNX model, and seals the bundle again."""
    model = onnx.load(path / ONNX)
    weight = next(weight for weight in model.graph.initializer if weight.name == name)
    values = numpy_helper.to_array(weight).copy()
    values.flat[0] += by
    weight.CopyFrom(numpy_helper.from_array(values, name))
    (path / ONNX).write_bytes(model.SerializeToString())
    reseal(path)


def copy_bundle(path: Path, target: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(path, target))


def _model(
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, tuple[int | str, ...]],
    outputs: Mapping[str, tuple[int | str, ...]],
    weights: dict[str, Array],
) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    kind = value.type.tensor_type
    shape = tuple(DYNAMIC if dim.dim_param else dim.dim_value for dim in kind.shape.dim)
    return TensorSpec(value.name, helper.tensor_dtype_to_np_dtype(kind.elem_type).name, shape)


def _manifest(
    name: str,
    version: int,
    signature: Signature,
    golden: Golden,
    files: tuple[SealedFile, ...],
    max_batch_size: int,
    labels: tuple[str, ...] | None,
) -> Manifest:
    zero = {spec.name: 0.0 for spec in signature.outputs}
    return Manifest(
        model=name,
        version=version,
        created=CREATED,
        tools={"onnxruntime": onnxruntime.__version__},
        host="test",
        source=Source("model.keras", sha256(b"")),
        signatures={DEFAULT_SIGNATURE: signature},
        tolerances={spec.name: _tolerance(golden.outputs[spec.name]) for spec in signature.outputs},
        engines={"onnxruntime": VerifiedEngine(onnxruntime.__version__, "cpu", zero)},
        batch_composition=zero,
        max_batch_size=max_batch_size,
        fold=(),
        golden=GoldenInfo(golden.rows, 0, True, 0),
        files=files,
        labels=labels,
    )


def _tolerance(reference: Array) -> OutputTolerance:
    scale = tolerance.scale(reference)
    limit = tolerance.limit(0.0, scale)
    return OutputTolerance(scale, 0.0, limit, 0.0, tolerance.promised(limit, scale))


def _save_dense(model: ModelProto, path: Path) -> None:
    """A SavedModel of `dense_model` with the same weights and names."""
    import tensorflow as tf  # slow: only where a test asks for it

    weights = {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}
    module = tf.Module()
    module.kernel, module.bias = tf.Variable(weights["kernel"]), tf.Variable(weights["bias"])
    spec = tf.TensorSpec([None, weights["kernel"].shape[0]], tf.float32, name="features")

    @tf.function(input_signature=[spec])
    def serve(features: object) -> dict[str, object]:
        return {"scores": tf.linalg.matmul(features, module.kernel) + module.bias}

    tf.saved_model.save(module, str(path), signatures={DEFAULT_SIGNATURE: serve})
