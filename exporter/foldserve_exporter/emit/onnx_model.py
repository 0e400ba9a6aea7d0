"""The folded model as ONNX, converted by tf2onnx from the function that the SavedModel holds."""

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

from foldserve_contract.signature import Array, Signature

from ..error_text import error_text
from ..errors import Refused
from .handlers import handlers
from .repairs import keep_captured, repair
from .saved_model import tensor_specs

OPSET = 18
_MAX_BYTES = (1 << 31) - 1  # a protobuf's limit


def write_onnx(function: Any, signature: Signature, path: Path) -> None:
    """Converts, gives the dimensions their names, checks the model and writes it.

    Raises:
        Refused: tf2onnx knows no ONNX for an operation, the model is larger than a single file may be, or not sound.
    """
    model = convert(function, tensor_specs(signature))
    finish(model, signature)
    if model.ByteSize() > _MAX_BYTES:
        raise Refused(f"the ONNX model takes {model.ByteSize():,} bytes; a single file holds at most {_MAX_BYTES:,}")
    require_consistent(model)
    path.write_bytes(model.SerializeToString())


def require_consistent(model: Any) -> None:
    """Has ONNX' own checker look at a model, or at the file of one.

    Raises:
        Refused: It is not sound, which is how shapes come to light that a layer declares and does not make.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise Refused(
            f"the ONNX model is not sound: {error_text(error)} Where two shapes differ there, a layer declares one to "
            "Keras and makes the other (Activation('glu') halves what it says it keeps): replace it."
        ) from error


def finish(model: Any, signature: Signature) -> None:
    """Changes a converted model in place: what is wrong with it is put right, and free dimensions have their names.

    Raises:
        Refused: tf2onnx knows no ONNX for an operation.
    """
    repair(model)
    _require_known_operations(model)
    _name_dimensions(model, signature)


def convert(function: Any, specs: list[Any]) -> Any:
    """A function as ONNX; what its layers hold that is no variable is a weight.

    Without a copy of the whole model before each optimisation, and with them where one fails and is to be undone.

    Those copies are a third of the time, and most of the memory.
    """
    with _quiet():
        try:
            with _in_place():
                model = _converted(function, specs)
        except Exception:
            model = _converted(function, specs)
    keep_captured(model, _captured(function, specs))
    return model


def _converted(function: Any, specs: list[Any]) -> Any:
    return tf2onnx.convert.from_function(function, input_signature=specs, opset=OPSET, custom_op_handlers=handlers())[0]


@contextmanager
def _in_place() -> Iterator[None]:
    """tf2onnx is told by the environment alone that a failing optimisation need not be undone."""
    before = os.environ.get(ENV_TF2ONNX_CATCH_ERRORS)
    os.environ[ENV_TF2ONNX_CATCH_ERRORS] = "FALSE"
    try:
        yield
    finally:
        del os.environ[ENV_TF2ONNX_CATCH_ERRORS]
        if before is not None:
            os.environ[ENV_TF2ONNX_CATCH_ERRORS] = before


def _captured(function: Any, specs: list[Any]) -> dict[str, Array]:
    """Tensors that layers made once and hold (statistics of a Normalization, say), by the names they have inside."""
    captures = function.get_concrete_function(*specs).graph.captures
    return {inside.name: held.numpy() for held, inside in captures if held.dtype != tf.resource}


def _require_known_operations(model: Any) -> None:
    """tf2onnx leaves operations it does not know in the graph and returns normally."""
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


def _name_dimensions(model: Any, signature: Signature) -> None:
    """Free dimensions are `batch` and `NAME_AXIS` rather than `unk__12`; equal names mean equal sizes in ONNX."""
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
    del model.graph.value_info[:]  # it speaks of the old names, and engines infer it anew


@contextmanager
def _quiet() -> Iterator[None]:
    """tf2onnx logs what `_require_known_operations` says in words."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
