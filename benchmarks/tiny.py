"""The tiny CNN that the benchmarks ask, and its bundle; made without TensorFlow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from foldserve_contract import tolerance
from foldserve_contract.bundle import GOLDEN, ONNX
from foldserve_contract.golden import Golden
from foldserve_contract.manifest import GoldenInfo, Manifest, OutputTolerance, Source, VerifiedEngine
from foldserve_contract.publish import stage
from foldserve_contract.signature import DEFAULT_SIGNATURE, Array, Signature, TensorSpec

CLASSES = 10


def draw(rows: int, side: int) -> Array:
    return np.random.default_rng(rows).normal(size=(rows, side, side, 3)).astype(np.float32)


def tf32_effect(side: int, golden: Golden) -> float:
    """Tolerance of the scores on a GPU that rounds to TF32: some times the effect of rounding weights and images."""
    session = onnxruntime.InferenceSession(
        tiny(side, rounded=to_tf32).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (scores,) = session.run(["scores"], {"image": to_tf32(golden.inputs["image"])})
    return 16 * tolerance.deviation(scores, golden.outputs["scores"])


def to_tf32(array: Array) -> Array:
    """The nearest values with ten bits of mantissa."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    return np.asarray(((bits + 0x1000) & 0xFFFFE000).astype(np.uint32).view(np.float32))


def tiny(side: int, *, free: bool = False, rounded: Callable[[Array], Array] = lambda array: array) -> Any:
    """`image` [-1, side, side, 3] to `scores` [-1, 10]: convolution, ReLU, mean, matrix product, softmax.

    With `free`, images may have any size; `rounded` is done to the weights.
    """
    from onnx import TensorProto, helper, numpy_helper  # a machine that only measures may have none

    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "filters"], ["convolved"], kernel_shape=[3, 3], strides=[2, 2]),
        helper.make_node("Relu", ["convolved"], ["rectified"]),
        helper.make_node("GlobalAveragePool", ["rectified"], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("MatMul", ["flat", "kernel"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
    ]
    weights = {"filters": random.normal(size=(16, 3, 3, 3)), "kernel": random.normal(size=(16, CLASSES))}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ("n", *(("h", "w") if free else (side, side)), 3))],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ("n", CLASSES))],
        [numpy_helper.from_array(rounded(value.astype(np.float32)), name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def publish(root: Path, side: int, add: Callable[[Path], None] = lambda _: None, *, free: bool = False) -> Path:
    """A bundle of the tiny CNN, as the next version; `add` puts more files into it, `free` leaves the size open."""
    model = tiny(side, free=free).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    images = draw(8, side)
    golden = Golden({"image": images}, {"scores": session.run(["scores"], {"image": images})[0]})
    size = -1 if free else side
    signature = Signature(
        (TensorSpec("image", "float32", (-1, size, size, 3)),), (TensorSpec("scores", "float32", (-1, CLASSES)),)
    )
    limit = tolerance.limit(0.0, 1.0)
    promised = tolerance.promised(limit, 1.0)
    tf32 = promised + tf32_effect(side, golden)
    with stage(root, "tiny") as staging:
        (staging.path / ONNX).write_bytes(model)
        (staging.path / GOLDEN).write_bytes(golden.to_bytes())
        add(staging.path)
        manifest = Manifest(
            model="tiny",
            version=staging.version,
            created="",
            tools={},
            host="",
            source=Source("", ""),
            signatures={DEFAULT_SIGNATURE: signature},
            tolerances={"scores": OutputTolerance(1.0, 0.0, limit, 0.0, promised, tf32)},
            engines={"onnxruntime": VerifiedEngine(onnxruntime.__version__, "cpu", {"scores": 0.0})},
            batch_composition={"scores": 0.0},
            max_batch_size=32,
            fold=(),
            golden=GoldenInfo(golden.rows, 0, True, 0),
            files=staging.seal(),
        )
        return staging.publish(manifest)
