"""ONNX models larger than one file can hold: external data, the larger weights in `model.onnx.data` beside the model.

A protobuf holds at most 2 GiB, which bounds every step of the conversion by TensorFlow and tf2onnx. So the larger
weights are inputs while the graph is converted, and become weights again afterwards, each from its own variable.
"""

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from onnx import TensorProto, helper

from foldserve_contract.bundle import ONNX_DATA
from foldserve_contract.signature import Signature

from ..naming import NamedModel
from .onnx_model import convert, finish, require_consistent
from .saved_model import tensor_specs

SINGLE_FILE_BYTES = (1 << 31) - (1 << 26)  # a protobuf's limit, with room for the graph
LARGE_BYTES = 1 << 20
_PAGE = 4096  # offsets that can be mapped into memory


def weight_bytes(model: NamedModel) -> int:
    """The bytes that the weights of a model take."""
    return sum(_bytes_of(variable) for variable in model.model.variables)


def write_onnx_with_external_data(
    model: NamedModel, signature: Signature, path: Path, least_bytes: int = LARGE_BYTES
) -> None:
    """Writes the model and, beside it, its weights of ``least_bytes`` bytes or more.

    Raises:
        Refused: As `write_onnx`.
    """
    large = {
        f"weight_{index}": variable
        for index, variable in enumerate(model.model.variables)
        if _bytes_of(variable) >= least_bytes
    }
    function, specs = _with_weights_as_inputs(model, signature, large)
    converted = convert(function, specs)
    _move_to_data_file(converted, large, path.with_name(ONNX_DATA))
    finish(converted, signature)
    path.write_bytes(converted.SerializeToString())
    require_consistent(str(path))


def _with_weights_as_inputs(model: NamedModel, signature: Signature, large: dict[str, Any]) -> tuple[Any, list[Any]]:
    names = [spec.name for spec in signature.inputs]

    def serve(*tensors: Any) -> dict[str, Any]:
        weights = list(zip(large.values(), tensors[len(names) :], strict=True))
        with keras.StatelessScope(state_mapping=weights):
            return model.call(dict(zip(names, tensors, strict=False)), training=False)

    weights = [tf.TensorSpec(variable.shape, variable.dtype, name=name) for name, variable in large.items()]
    specs = [*tensor_specs(signature), *weights]
    return tf.function(serve, input_signature=specs, autograph=False), specs


def _move_to_data_file(model: Any, large: dict[str, Any], data: Path) -> None:
    """Writes the weights one after another; the model refers to the offset of each in the file."""
    inputs = [value for value in model.graph.input if value.name not in large]
    weights = [value.name for value in model.graph.input if value.name in large]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    with data.open("wb") as stream:
        for name in weights:
            stream.seek(-stream.tell() % _PAGE, 1)
            model.graph.initializer.append(_reference(name, large[name], stream.tell()))
            stream.write(memoryview(large[name].numpy()).cast("B"))


def _reference(name: str, variable: Any, offset: int) -> Any:
    kind = helper.np_dtype_to_tensor_dtype(variable.numpy().dtype)
    tensor = TensorProto(name=name, data_type=kind, dims=variable.shape, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", ONNX_DATA), ("offset", offset), ("length", _bytes_of(variable))):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def _bytes_of(variable: Any) -> int:
    size: int = variable.numpy().nbytes
    return size
