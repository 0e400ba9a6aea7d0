"""ONNX model of a folded model, converted by tf2onnx from the function that the SavedModel holds."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import tensorflow as tf
import tf2onnx
from tf2onnx.constants import ENV_TF2ONNX_CATCH_ERRORS

from foldserve_contract.signature import Array, Signature, TensorSpec

from ..error_text import error_text
from ..errors import Refused
from .converter_memory import bounded_memory
from .handlers import handlers
from .repairs import repair, restore_captured_weights
from .saved_model import tensor_specs

OPSET = 18
_MAX_BYTES = (1 << 31) - 1  # a protobuf's limit


def write_onnx(function: Any, signature: Signature, path: Path) -> None:
    """Converts, names the dynamic dimensions, checks the model and writes it.

    Raises:
        Refused: tf2onnx cannot convert an operation, or the model is inconsistent or larger than a single file may be.
    """
    model = convert(function, tensor_specs(signature))
    finish(model, signature)
    if model.ByteSize() > _MAX_BYTES:
        raise Refused(f"the ONNX model takes {model.ByteSize():,} bytes; a single file holds at most {_MAX_BYTES:,}")
    require_consistent(model)
    path.write_bytes(model.SerializeToString())


def require_consistent(model: Any) -> None:
    """Runs ONNX' checker on a model, or on the file of a model.

    Raises:
        Refused: It is inconsistent: usually a layer declares another shape than it makes.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise Refused(
            f"the ONNX model is not sound: {error_text(error)} Where two shapes differ there, a layer declares one to "
            "Keras and makes the other (Activation('glu') halves the axis that it declares to keep): replace it."
        ) from error


def finish(model: Any, signature: Signature) -> None:
    """Changes a converted model in place: applies the passes of `repairs`, orders inputs and outputs, names dimensions.

    Raises:
        Refused: tf2onnx cannot convert an operation.
    """
    repair(model)
    _require_known_operations(model)
    _order_values(model.graph.input, signature.inputs)
    _order_values(model.graph.output, signature.outputs)
    _name_dimensions(model, signature)


def convert(function: Any, specs: list[Any]) -> Any:
    """Converts a function to ONNX; tensors that its layers captured become weights.

    tf2onnx copies the whole model before each optimisation, to undo it if it fails: a third of the time, and most of
    the memory. So the first attempt makes no copies, and a second one with copies follows where an optimisation fails.
    """
    with _muted_converter_log(), bounded_memory():
        try:
            with _without_model_copies():
                model = _converted(function, specs)
        except Exception:
            model = _converted(function, specs)
    restore_captured_weights(model, _captured_tensors(function, specs))
    return model


def _converted(function: Any, specs: list[Any]) -> Any:
    return tf2onnx.convert.from_function(function, input_signature=specs, opset=OPSET, custom_op_handlers=handlers())[0]


@contextmanager
def _without_model_copies() -> Iterator[None]:
    """Sets the environment variable by which tf2onnx does not undo a failing optimisation, and so needs no copies."""
    before = os.environ.get(ENV_TF2ONNX_CATCH_ERRORS)
    os.environ[ENV_TF2ONNX_CATCH_ERRORS] = "FALSE"
    try:
        yield
    finally:
        del os.environ[ENV_TF2ONNX_CATCH_ERRORS]
        if before is not None:
            os.environ[ENV_TF2ONNX_CATCH_ERRORS] = before


def _captured_tensors(function: Any, specs: list[Any]) -> dict[str, Array]:
    """Constant tensors that layers hold (statistics of a Normalization, for one), by their names in the graph."""
    captures = function.get_concrete_function(*specs).graph.captures
    return {inner.name: tensor.numpy() for tensor, inner in captures if tensor.dtype != tf.resource}


def _require_known_operations(model: Any) -> None:
    """Refuses operations that tf2onnx does not know: it leaves them in the graph and returns normally."""
    domains = {opset.domain: opset.version for opset in model.opset_import}
    unknown = sorted({node.op_type for node in model.graph.node if not _is_known(node, domains)})
    if unknown:
        places = [node.name for node in model.graph.node if node.op_type in unknown]
        raise Refused(
            f"no ONNX can be made of the TensorFlow operations {', '.join(unknown)} (at {', '.join(places[:3])});"
            " replace the layers that make them"
        )


def _is_known(node: Any, domains: dict[str, int]) -> bool:
    return node.domain in domains and onnx.defs.has(node.op_type, domains[node.domain], node.domain)


def _order_values(values: Any, specs: tuple[TensorSpec, ...]) -> None:
    """Puts inputs or outputs into the order of the signature: TensorFlow's functions sort theirs by name."""
    position = {spec.name: index for index, spec in enumerate(specs)}
    values.sort(key=lambda value: position[value.name])


def _name_dimensions(model: Any, signature: Signature) -> None:
    """Names dynamic dimensions `batch` and `NAME_AXIS` rather than `unk__12`; equal names mean equal sizes in ONNX."""
    specs = {spec.name: spec for spec in (*signature.inputs, *signature.outputs)}
    for value in (*model.graph.input, *model.graph.output):
        sizes = specs[value.name].shape
        shape = value.type.tensor_type.shape
        del shape.dim[:]
        for axis, size in enumerate(sizes):
            dimension = shape.dim.add()
            if size >= 0:
                dimension.dim_value = size
            else:
                dimension.dim_param = "batch" if axis == 0 else f"{value.name}_{axis}"
    del model.graph.value_info[:]  # it has the old names, and engines infer it anew


@contextmanager
def _muted_converter_log() -> Iterator[None]:
    """Mutes the log of tf2onnx: `_require_known_operations` reports the same in its message."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
