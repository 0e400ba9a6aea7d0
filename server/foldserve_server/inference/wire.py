"""Messages of inference to queries, and answers to messages."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from foldserve_contract.dtypes import dtype_named
from foldserve_contract.errors import TensorError
from foldserve_contract.protos.open_inference import ModelInferResponse
from foldserve_contract.signature import Array

from ..core.errors import InvalidRequest, NotOffered
from ..core.query import Answer, ModelRef, Offer, Query
from .classification import CLASS_COUNT, classes
from .datatypes import BY_DTYPE, BY_NAME, Datatype

_SHARED_MEMORY = "shared_memory_region"


def query(request: Any, ref: ModelRef, deadline_ns: int | None) -> Query:
    """A ModelInferRequest as a query.

    Raises:
        InvalidRequest: Raw contents are not as many as inputs, or stand beside typed ones.
        NotOffered: A tensor lies in shared memory.
    """
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise InvalidRequest(
            f"raw_input_contents holds {len(raw)} tensors for {len(request.inputs)} inputs of model '{ref.name}';"
            " give one for each input, in their order"
        )
    for tensor in (*request.inputs, *request.outputs):
        if _SHARED_MEMORY in tensor.parameters:
            raise NotOffered(f"'{tensor.name}' lies in shared memory, which this server does not offer; send it")
    contents = raw or (None,) * len(request.inputs)
    offers = {tensor.name: _offer(tensor, content) for tensor, content in zip(request.inputs, contents, strict=True)}
    return Query(ref, offers, tuple(tensor.name for tensor in request.outputs), deadline_ns=deadline_ns)


def _offer(tensor: Any, raw: bytes | None) -> Offer:
    if raw is not None and tensor.HasField("contents"):
        raise InvalidRequest(f"contents field must not be specified when using raw_input_contents for '{tensor.name}'")
    datatype = BY_NAME.get(tensor.datatype)
    shape = tuple(tensor.shape)
    read: Callable[[], Array] = partial(_unknown, tensor.datatype)
    if datatype is not None:
        read = partial(_typed, tensor.contents, datatype, shape) if raw is None else partial(_raw, raw, datatype, shape)
    return Offer(datatype.dtype if datatype else tensor.datatype or None, shape, read)


def _unknown(name: str) -> Array:
    raise TensorError(f"data-type {name!r} is not supported")


def _raw(content: bytes, datatype: Datatype, shape: tuple[int, ...]) -> Array:
    dtype = dtype_named(datatype.dtype).numpy
    expected = math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise TensorError(
            f"raw contents of shape {list(shape)} must hold {expected:,} bytes, received {len(content):,}"
        )
    if datatype.dtype == "bool" and np.frombuffer(content, np.uint8).max(initial=0) > 1:
        raise TensorError("raw contents of data-type BOOL must hold zeros and ones only")
    return np.frombuffer(content, dtype).reshape(shape)


def _typed(contents: Any, datatype: Datatype, shape: tuple[int, ...]) -> Array:
    if datatype.field is None:
        raise TensorError(f"data-type {datatype.name} has no typed contents; send raw_input_contents")
    values = np.array(getattr(contents, datatype.field))
    if values.size != math.prod(shape):
        raise TensorError(
            f"{datatype.field} of shape {list(shape)} must hold {math.prod(shape):,} values, received {values.size:,}"
        )
    array = values.astype(dtype_named(datatype.dtype).numpy)
    if array.dtype.kind in "iu" and (array != values).any():
        raise TensorError(f"{datatype.field} holds a value that {datatype.name} cannot")
    return array.reshape(shape)


def response(request: Any, answer: Answer, labels: tuple[str, ...] | None) -> Any:
    """The ModelInferResponse: raw where the request was or where there is no typed way, else typed."""
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
        message.raw_output_contents.append(b"".join(_prefixed(rows)))
    else:
        tensor.contents.bytes_contents.extend(text for row in rows for text in row)


def _prefixed(rows: list[list[bytes]]) -> Iterator[bytes]:
    """Each string after its length in four bytes, as raw contents hold strings."""
    for row in rows:
        for text in row:
            yield len(text).to_bytes(4, "little") + text
