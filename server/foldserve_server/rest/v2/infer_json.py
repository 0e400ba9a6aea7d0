"""Body of `/infer`, read and written: JSON, with tensors in it or as bytes behind it."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foldserve_contract.dtypes import dtype_named
from foldserve_contract.signature import Array, Arrays
from foldserve_contract.tensors import MAX_DIMENSIONS

from ...errors import InvalidRequest
from ...models.query import InputTensor
from ...open_inference.classification import CLASS_COUNT, classes
from ...open_inference.datatypes import BY_DTYPE, BY_NAME, Datatype
from ...open_inference.tensors import SHARED_MEMORY, in_shared_memory, input_tensor, length_prefixed, raw_array
from ..json_tensors import JsonLiterals, number_array
from ..v1.predict_json import dump, number_lists, parse_object

_BINARY, _BINARY_ALL, _SIZE = "binary_data", "binary_data_output", "binary_data_size"
_ACCEPTED_KINDS = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}
_MAX_TENSORS = 4096
_LISTED_BOOL = re.compile(rb"[\[,]\s*(?:true|false)")  # in a list; most requests have booleans as parameters


@dataclass(frozen=True, slots=True)
class JsonTensor:
    """An input: its array where that was in the JSON, else its bytes."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    array: Array | None = None
    content: bytes = b""

    def input_tensor(self) -> InputTensor:
        """The input in the form that the predictor takes."""
        return input_tensor(self.datatype, self.shape, self._read)

    def _read(self, datatype: Datatype, shape: tuple[int, ...]) -> Array:
        return raw_array(self.content, datatype, shape) if self.array is None else self.array


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """An output that is wanted.

    Attributes:
        name: The output's name.
        binary: True if it is wanted as bytes behind the JSON.
        classes: The number of best classes that are wanted; 0 for the tensor itself.
    """

    name: str
    binary: bool
    classes: int = 0


@dataclass(frozen=True, slots=True)
class InferBody:
    """A request as it was read.

    Attributes:
        id: The caller's id of the request; empty for none.
        inputs: The tensors that are sent.
        outputs: The outputs that are wanted; empty for all.
        binary: True if outputs that are not named are wanted as bytes.
        timeout_us: The most microseconds until the answer; 0 for any time.
    """

    id: str
    inputs: tuple[JsonTensor, ...]
    outputs: tuple[RequestedOutput, ...]
    binary: bool
    timeout_us: int


@dataclass(frozen=True, slots=True)
class InferReply:
    """An answer before it is written."""

    id: str
    model: str
    version: int
    outputs: Arrays
    labels: tuple[str, ...] | None


def read_infer(content: bytes, json_size: int | None) -> InferBody:
    """Reads a request to `/infer`.

    Args:
        content: The body.
        json_size: The number of bytes that are JSON; None for all.

    Raises:
        InvalidRequest: The body is not JSON, or does not follow the protocol.
        NotOffered: A tensor lies in shared memory.
    """
    # 1. the JSON, and the bytes behind it
    size = len(content) if json_size is None else json_size
    if not 0 <= size <= len(content):
        raise InvalidRequest(f"Inference-Header-Content-Length is {size:,}, and the body has {len(content):,} bytes")
    value = parse_object(content[:size])
    literals = JsonLiterals(_LISTED_BOOL.search(content, 0, size) is not None, b"Infinity" in content[:size])
    # 2. its parts
    parameters = parameters_of(value, "the request")
    binary = parameters.get(_BINARY_ALL) is True
    inputs = _read_inputs(_objects(value, "inputs"), memoryview(content)[size:], literals)
    outputs = tuple(_read_output(item, binary) for item in _objects(value, "outputs"))
    timeout = parameters.get("timeout", 0)
    if not inputs:
        raise InvalidRequest("'inputs' must be a list of tensors, and holds none")
    if type(timeout) is not int:
        raise InvalidRequest(f"'timeout' must be a whole number of microseconds, received {timeout!r:.100}")
    request_id = value.get("id")
    return InferBody("" if request_id is None else str(request_id), inputs, outputs, binary, timeout)


def _read_inputs(
    values: Iterable[Mapping[str, Any]], binary_data: memoryview, literals: JsonLiterals
) -> tuple[JsonTensor, ...]:
    """The inputs; those without a list take their bytes from `binary_data`, one after the other and in full."""
    tensors, at = [], 0
    for value in values:
        tensor, at = _read_input(value, binary_data, at, literals.bools)
        if not literals.infinities and tensor.array is not None and np.isinf(tensor.array).any():
            raise InvalidRequest(f"input {tensor.name!r}: JSON Parse error: Number too big to be stored in double")
        tensors.append(tensor)
    if at != len(binary_data):
        raise InvalidRequest(f"{len(binary_data):,} bytes follow the JSON, of which its inputs name {at:,}")
    return tuple(tensors)


def _read_input(value: Mapping[str, Any], binary_data: memoryview, at: int, bools: bool) -> tuple[JsonTensor, int]:
    """An input, and the offset of the next one in the bytes; `bools` is False if no list holds a boolean."""
    # 1. name, type and shape
    name, datatype, shape = value.get("name"), value.get("datatype"), value.get("shape")
    whole = isinstance(shape, list) and all(type(size) is int for size in shape)
    if not isinstance(name, str) or not isinstance(datatype, str) or not isinstance(shape, list) or not whole:
        raise InvalidRequest(f"an input has name, shape and datatype, received {sorted(value)}")
    if len(shape) > MAX_DIMENSIONS:
        raise InvalidRequest(f"input {name!r} has {len(shape):,} dimensions; no tensor has more than {MAX_DIMENSIONS}")
    parameters = parameters_of(value, f"input {name!r}")
    if SHARED_MEMORY in parameters:
        raise in_shared_memory(name)
    # 2. the values: a list, or the next bytes
    size = parameters.get(_SIZE)
    if size is None:
        if "data" not in value:
            raise InvalidRequest(f"input {name!r} has neither 'data' nor the parameter '{_SIZE}'")
        return JsonTensor(name, datatype, tuple(shape), _list_array(name, value["data"], datatype, shape, bools)), at
    if type(size) is not int or not 0 <= size <= len(binary_data) - at:
        raise InvalidRequest(f"input {name!r}: {_SIZE} is {size!r}, and {len(binary_data) - at:,} bytes are left")
    return JsonTensor(name, datatype, tuple(shape), None, bytes(binary_data[at : at + size])), at + size


def _list_array(name: str, data: Any, datatype: str, shape: Sequence[int], bools: bool) -> Array | None:
    """The array of a list, nested or flat; None for an unknown data type, which `request_check` reports."""
    if datatype not in BY_NAME:
        return None
    dtype = dtype_named(BY_NAME[datatype].dtype).numpy
    # 1. the numbers as they were written
    try:
        values = number_array(data, dtype.kind)
    except ValueError:
        raise InvalidRequest(f"input {name!r}: its lists are of unequal lengths") from None
    except OverflowError:
        raise InvalidRequest(f"input {name!r}: JSON Parse error: Number too big to be stored in double") from None
    # 2. their type and their shape
    mixed = bools and dtype.kind != "b" and _holds_bool(data)
    if mixed or (values.size and values.dtype.kind not in _ACCEPTED_KINDS[dtype.kind]):
        raise InvalidRequest(f"input {name!r}: expected data of data-type {datatype}")
    if values.size != math.prod(shape) or any(size < 0 for size in shape):
        raise InvalidRequest(f"input {name!r}: {values.size:,} values cannot have the shape {list(shape)}")
    # 3. the conversion, which may change no number
    with np.errstate(over="ignore"):
        array = values.astype(dtype)
    lost = array != values if dtype.kind in "iu" else np.isinf(array) & np.isfinite(values)
    if dtype.kind != "b" and lost.any():
        raise InvalidRequest(f"input {name!r} holds {values[lost].flat[0]}, which {datatype} cannot")
    return array.reshape(shape)


def _holds_bool(data: Any) -> bool:
    return any(map(_holds_bool, data)) if isinstance(data, list) else isinstance(data, bool)


def _read_output(value: Mapping[str, Any], binary: bool) -> RequestedOutput:
    name = value.get("name")
    if not isinstance(name, str):
        raise InvalidRequest(f"an output has a name, received {sorted(value)}")
    parameters = parameters_of(value, f"output {name!r}")
    if SHARED_MEMORY in parameters:
        raise in_shared_memory(name)
    count = parameters.get(CLASS_COUNT, 0)
    if type(count) is not int:
        raise InvalidRequest(f"output {name!r}: '{CLASS_COUNT}' must be a whole number, received {count!r}")
    return RequestedOutput(name, parameters.get(_BINARY, binary) is True, count)


def _objects(value: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    values = value.get(key)
    if values is None:  # some clients write null for a key that they leave out
        return []
    if not isinstance(values, list) or not all(isinstance(item, dict) for item in values):
        raise InvalidRequest(f"'{key}' must be a list of objects")
    if len(values) > _MAX_TENSORS:
        raise InvalidRequest(f"'{key}' has {len(values):,} entries; at most {_MAX_TENSORS:,} are allowed")
    return values


def parameters_of(value: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The parameters of a part of a request; empty where they are left out.

    Raises:
        InvalidRequest: The parameters are not an object.
    """
    parameters = value.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InvalidRequest(f"the 'parameters' of {place} must be an object")
    return parameters


def write_infer(body: InferBody, reply: InferReply) -> tuple[bytes, int | None]:
    """Writes the answer; returns it and the number of its bytes that are JSON, None for all."""
    wanted = {output.name: output for output in body.outputs}
    entries, binary_data = [], []
    for name, array in reply.outputs.items():
        output = wanted.get(name, RequestedOutput(name, body.binary))
        entry, content = _write_output(output, array, reply.labels)
        entries.append(entry)
        binary_data += [] if content is None else [content]
    head = {"model_name": reply.model, "model_version": str(reply.version), "outputs": entries}
    text = dump({"id": body.id, **head} if body.id else head)
    return b"".join([text, *binary_data]), len(text) if binary_data else None


def _write_output(
    output: RequestedOutput, array: Array, labels: tuple[str, ...] | None
) -> tuple[dict[str, Any], bytes | None]:
    """The JSON entry of an output, and its bytes where it is wanted in binary."""
    if output.classes:
        rows = classes(output.name, array, output.classes, labels)
        entry = {"name": output.name, "datatype": "BYTES", "shape": [len(rows), len(rows[0]) if rows else 0]}
        content = b"".join(length_prefixed(rows))
        data: Any = [text.decode() for row in rows for text in row]
    else:
        entry = {"name": output.name, "datatype": BY_DTYPE[array.dtype.name].name, "shape": list(array.shape)}
        content = np.ascontiguousarray(array, dtype_named(array.dtype.name).numpy).tobytes() if output.binary else b""
        data = None if output.binary else number_lists(array.ravel())
    if output.binary:
        return {**entry, "parameters": {_SIZE: len(content)}}, content
    return {**entry, "data": data}, None
