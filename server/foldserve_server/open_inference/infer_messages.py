"""Conversion of ModelInferRequest to input tensors, and of predictions to ModelInferResponse."""

import math
from functools import partial
from typing import Any

import numpy as np

from foldserve_contract.dtypes import dtype_named
from foldserve_contract.errors import TensorError
from foldserve_contract.protos.open_inference import ModelInferResponse
from foldserve_contract.signature import Array

from ..errors import InvalidRequest
from ..models.query import InputTensor, PredictResult
from .classification import CLASS_COUNT, classes
from .datatypes import BY_DTYPE, Datatype
from .tensors import SHARED_MEMORY, in_shared_memory, input_tensor, length_prefixed, raw_array


def input_tensors(request: Any) -> dict[str, InputTensor]:
    """The inputs of a ModelInferRequest.

    Raises:
        InvalidRequest: Raw contents are not as many as inputs, or are sent beside typed ones.
        NotOffered: A tensor lies in shared memory.
    """
    for tensor in (*request.inputs, *request.outputs):
        if SHARED_MEMORY in tensor.parameters:
            raise in_shared_memory(tensor.name)  # first: a tensor in shared memory has no raw contents either
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise InvalidRequest(
            f"raw_input_contents holds {len(raw)} tensors for {len(request.inputs)} inputs"
            f" of model '{request.model_name}'; give one for each input, in their order"
        )
    contents = raw or (None,) * len(request.inputs)
    pairs = zip(request.inputs, contents, strict=True)
    return {tensor.name: _input_tensor(tensor, content) for tensor, content in pairs}


def _input_tensor(tensor: Any, raw: bytes | None) -> InputTensor:
    if raw is not None and tensor.contents.ListFields():  # MLServer's client sends it empty
        raise InvalidRequest(f"contents field must not be specified when using raw_input_contents for '{tensor.name}'")
    read = partial(_typed_array, tensor.contents) if raw is None else partial(raw_array, raw)
    return input_tensor(tensor.datatype, tensor.shape, read)


def _typed_array(contents: Any, datatype: Datatype, shape: tuple[int, ...]) -> Array:
    if datatype.field is None:
        raise TensorError(f"data-type {datatype.name} has no typed contents; send raw_input_contents")
    others = [field.name for field, _ in contents.ListFields() if field.name != datatype.field]
    if others:
        raise TensorError(
            f"values of data-type {datatype.name} are sent in {datatype.field}; {others[0]} holds some too"
        )
    # Where 64 bits are needed, numpy would take numbers on both sides of 2^63 for float64.
    values = np.array(getattr(contents, datatype.field), np.uint64 if datatype.dtype == "uint64" else None)
    if values.size != math.prod(shape):
        raise TensorError(
            f"{datatype.field} of shape {list(shape)} must hold {math.prod(shape):,} values, received {values.size:,}"
        )
    array = values.astype(dtype_named(datatype.dtype).numpy)
    if array.dtype.kind in "iu" and (array != values).any():
        raise TensorError(f"{datatype.field} holds a value that {datatype.name} cannot")
    return array.reshape(shape)


def response(request: Any, answer: PredictResult, labels: tuple[str, ...] | None) -> Any:
    """The ModelInferResponse: with raw contents where the request had them or a type has no field, else typed.

    Outputs whose best classes are wanted are given as strings.
    """
    counts = {
        tensor.name: tensor.parameters[CLASS_COUNT].int64_param
        for tensor in request.outputs
        if CLASS_COUNT in tensor.parameters
    }
    message = ModelInferResponse(id=request.id, model_name=request.model_name, model_version=str(answer.version))
    raw = bool(request.raw_input_contents) or any(
        BY_DTYPE[array.dtype.name].field is None for name, array in answer.outputs.items() if not counts.get(name)
    )
    for name, array in answer.outputs.items():
        if counts.get(name):
            _add_strings(message, name, classes(name, array, counts[name], labels), raw)
        else:
            _add(message, name, array, BY_DTYPE[array.dtype.name], raw)
    return message


def _add(message: Any, name: str, array: Array, datatype: Datatype, raw: bool) -> None:
    tensor = message.outputs.add(name=name, datatype=datatype.name, shape=array.shape)
    if raw:
        message.raw_output_contents.append(np.ascontiguousarray(array, dtype_named(datatype.dtype).numpy).tobytes())
    elif datatype.field is not None:
        getattr(tensor.contents, datatype.field).extend(array.ravel().tolist())


def _add_strings(message: Any, name: str, rows: list[list[bytes]], raw: bool) -> None:
    shape = (len(rows), len(rows[0]) if rows else 0)
    tensor = message.outputs.add(name=name, datatype="BYTES", shape=shape)
    if raw:
        message.raw_output_contents.append(b"".join(length_prefixed(rows)))
    else:
        tensor.contents.bytes_contents.extend(text for row in rows for text in row)
