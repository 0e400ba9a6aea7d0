"""What a caller posts to `/infer`, and what it is answered: JSON, with tensors in it or as bytes behind it."""

import math
import re
from collections.abc import Mapping, Sequence
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
from ...open_inference.tensors import SHARED_MEMORY, elsewhere, offer, prefixed, raw_array
from ..json_tensors import numbers
from ..v1.predict_json import dump, parse_object, plain

_BINARY, _BINARY_ALL, _SIZE = "binary_data", "binary_data_output", "binary_data_size"
_TAKEN = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}
_MOST_TENSORS = 4096
_LISTED_BOOL = re.compile(rb"[\[,]\s*(?:true|false)")  # others are parameters, of which most requests have some


@dataclass(frozen=True, slots=True)
class JsonTensor:
    """An input: its array where it stood in the JSON, else its bytes."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    array: Array | None = None
    content: bytes = b""

    def offer(self) -> InputTensor:
        """As the core judges it."""
        return offer(self.datatype, self.shape, self._read)

    def _read(self, datatype: Datatype, shape: tuple[int, ...]) -> Array:
        return raw_array(self.content, datatype, shape) if self.array is None else self.array


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """An output: whether as bytes, and of how many classes the best are wanted; 0 for the tensor itself."""

    name: str
    binary: bool
    classes: int = 0


@dataclass(frozen=True, slots=True)
class InferBody:
    """A request that was read.

    Attributes:
        id: What the caller calls it.
        inputs: What it gives.
        outputs: What it wants; nothing for all.
        binary: Whether outputs that are not named come as bytes.
        timeout_us: How long it may take; 0 for any time.
    """

    id: str
    inputs: tuple[JsonTensor, ...]
    outputs: tuple[RequestedOutput, ...]
    binary: bool
    timeout_us: int


@dataclass(frozen=True, slots=True)
class InferReply:
    """What is to be written."""

    id: str
    model: str
    version: int
    outputs: Arrays
    labels: tuple[str, ...] | None


def read_infer(content: bytes, json_size: int | None) -> InferBody:
    """A request to `/infer`.

    Args:
        content: The body.
        json_size: How much of it is JSON; None for all.

    Raises:
        InvalidRequest: It is not JSON, or not of the protocol.
        NotOffered: A tensor lies in shared memory.
    """
    size = len(content) if json_size is None else json_size
    if not 0 <= size <= len(content):
        raise InvalidRequest(f"Inference-Header-Content-Length is {size:,}, and the body has {len(content):,} bytes")
    value = parse_object(content[:size])
    parameters = parameters_of(value, "the request")
    binary = parameters.get(_BINARY_ALL) is True
    infinities, bools = b"Infinity" in content[:size], _LISTED_BOOL.search(content, 0, size) is not None
    rest = memoryview(content)[size:]
    inputs, at = [], 0
    for one in _objects(value, "inputs"):
        given, at = _given(one, rest, at, bools)
        if not infinities and given.array is not None and np.isinf(given.array).any():
            raise InvalidRequest(f"input {given.name!r}: JSON Parse error: Number too big to be stored in double")
        inputs.append(given)
    if at != len(rest):
        raise InvalidRequest(f"{len(rest):,} bytes follow the JSON, of which its inputs name {at:,}")
    outputs = tuple(_wanted(one, binary) for one in _objects(value, "outputs"))
    timeout = parameters.get("timeout", 0)
    if not inputs:
        raise InvalidRequest("'inputs' must be a list of tensors, and holds none")
    if type(timeout) is not int:
        raise InvalidRequest(f"'timeout' must be a whole number of microseconds, received {timeout!r:.100}")
    name = value.get("id")
    return InferBody("" if name is None else str(name), tuple(inputs), outputs, binary, timeout)


def _given(value: Mapping[str, Any], rest: memoryview, at: int, bools: bool) -> tuple[JsonTensor, int]:
    """An input, and where in the bytes the next one begins; `bools` tells whether a list may hold any."""
    name, datatype, shape = value.get("name"), value.get("datatype"), value.get("shape")
    whole = isinstance(shape, list) and all(type(size) is int for size in shape)
    if not isinstance(name, str) or not isinstance(datatype, str) or not isinstance(shape, list) or not whole:
        raise InvalidRequest(f"an input has name, shape and datatype, received {sorted(value)}")
    if len(shape) > MAX_DIMENSIONS:
        raise InvalidRequest(f"input {name!r} has {len(shape):,} dimensions; no tensor has more than {MAX_DIMENSIONS}")
    parameters = parameters_of(value, f"input {name!r}")
    if SHARED_MEMORY in parameters:
        raise elsewhere(name)
    size = parameters.get(_SIZE)
    if size is None:
        if "data" not in value:
            raise InvalidRequest(f"input {name!r} has neither 'data' nor the parameter '{_SIZE}'")
        return JsonTensor(name, datatype, tuple(shape), _listed(name, value["data"], datatype, shape, bools)), at
    if type(size) is not int or not 0 <= size <= len(rest) - at:
        raise InvalidRequest(f"input {name!r}: {_SIZE} is {size!r}, and {len(rest) - at:,} bytes are left")
    return JsonTensor(name, datatype, tuple(shape), None, bytes(rest[at : at + size])), at + size


def _listed(name: str, data: Any, datatype: str, shape: Sequence[int], bools: bool) -> Array | None:
    """The array of a list, nested or flat; None where nobody knows its elements, which is said elsewhere."""
    known = BY_NAME.get(datatype)
    if known is None:
        return None
    dtype = dtype_named(known.dtype).numpy
    try:
        values = numbers(data, dtype.kind)
    except ValueError:
        raise InvalidRequest(f"input {name!r}: its lists are of unequal lengths") from None
    except OverflowError:
        raise InvalidRequest(f"input {name!r}: JSON Parse error: Number too big to be stored in double") from None
    mixed = bools and dtype.kind != "b" and _holds_bool(data)
    if mixed or (values.size and values.dtype.kind not in _TAKEN[dtype.kind]):
        raise InvalidRequest(f"input {name!r}: expected data of data-type {datatype}")
    if values.size != math.prod(shape) or any(size < 0 for size in shape):
        raise InvalidRequest(f"input {name!r}: {values.size:,} values cannot have the shape {list(shape)}")
    with np.errstate(over="ignore"):
        array = values.astype(dtype)
    lost = array != values if dtype.kind in "iu" else np.isinf(array) & np.isfinite(values)
    if dtype.kind != "b" and lost.any():
        raise InvalidRequest(f"input {name!r} holds {values[lost].flat[0]}, which {datatype} cannot")
    return array.reshape(shape)


def _holds_bool(data: Any) -> bool:
    return any(map(_holds_bool, data)) if isinstance(data, list) else isinstance(data, bool)


def _wanted(value: Mapping[str, Any], binary: bool) -> RequestedOutput:
    name = value.get("name")
    if not isinstance(name, str):
        raise InvalidRequest(f"an output has a name, received {sorted(value)}")
    parameters = parameters_of(value, f"output {name!r}")
    if SHARED_MEMORY in parameters:
        raise elsewhere(name)
    count = parameters.get(CLASS_COUNT, 0)
    if type(count) is not int:
        raise InvalidRequest(f"output {name!r}: '{CLASS_COUNT}' must be a whole number, received {count!r}")
    return RequestedOutput(name, parameters.get(_BINARY, binary) is True, count)


def _objects(value: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = value.get(key)
    if found is None:  # as clients write what they leave out
        return []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InvalidRequest(f"'{key}' must be a list of objects")
    if len(found) > _MOST_TENSORS:
        raise InvalidRequest(f"'{key}' has {len(found):,} entries; at most {_MOST_TENSORS:,} are allowed")
    return found


def parameters_of(value: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The parameters of a part of a request, which may be left out.

    Raises:
        InvalidRequest: They are no object.
    """
    found = value.get("parameters")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InvalidRequest(f"the 'parameters' of {place} must be an object")
    return found


def write_infer(body: InferBody, reply: InferReply) -> tuple[bytes, int | None]:
    """The answer, and how much of it is JSON; None for all."""
    wanted = {one.name: one for one in body.outputs}
    told, behind = [], []
    for name, array in reply.outputs.items():
        one = wanted.get(name, RequestedOutput(name, body.binary))
        entry, content = _output(one, array, reply.labels)
        told.append(entry)
        behind += [] if content is None else [content]
    head = {"model_name": reply.model, "model_version": str(reply.version), "outputs": told}
    text = dump({"id": body.id, **head} if body.id else head)
    return b"".join([text, *behind]), len(text) if behind else None


def _output(one: RequestedOutput, array: Array, labels: tuple[str, ...] | None) -> tuple[dict[str, Any], bytes | None]:
    if one.classes:
        rows = classes(one.name, array, one.classes, labels)
        entry = {"name": one.name, "datatype": "BYTES", "shape": [len(rows), len(rows[0]) if rows else 0]}
        content = b"".join(prefixed(rows))
        data: Any = [text.decode() for row in rows for text in row]
    else:
        entry = {"name": one.name, "datatype": BY_DTYPE[array.dtype.name].name, "shape": list(array.shape)}
        content = np.ascontiguousarray(array, dtype_named(array.dtype.name).numpy).tobytes() if one.binary else b""
        data = None if one.binary else plain(array.ravel())
    if one.binary:
        return {**entry, "parameters": {_SIZE: len(content)}}, content
    return {**entry, "data": data}, None
