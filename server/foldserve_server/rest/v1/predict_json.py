"""JSON of `:predict`: reading of requests, writing of answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from foldserve_contract.signature import DEFAULT_SIGNATURE, Array, Arrays, Signature, TensorSpec

from ...errors import InvalidRequest
from ..json_tensors import JsonLiterals, array_of, is_b64

INSTANCES, INPUTS = "instances", "inputs"
SIGNATURE = "signature_name"
_TOO_DEEP = "JSON Parse error: lists and objects are nested too deeply"


@dataclass(frozen=True, slots=True)
class PredictBody:
    """A request as it was read.

    Attributes:
        signature: The signature's key.
        inputs: The arrays by name, each with all its rows.
        rows: True if request and answer are row by row (`instances`), False if by column (`inputs`).
    """

    signature: str
    inputs: Arrays
    rows: bool


def parse_object(content: bytes) -> dict[str, Any]:
    """Reads a JSON object. NaN, Infinity and -Infinity are numbers.

    Raises:
        InvalidRequest: The content is not a JSON object.
    """
    try:
        value = json.loads(content)
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"JSON Parse error: {error}") from None
    except RecursionError:
        raise InvalidRequest(_TOO_DEEP) from None
    except ValueError:
        raise InvalidRequest("JSON Parse error: an integer has too many digits") from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"Expected a JSON object, received {type(value).__name__}")
    return value


def named_signature(value: Mapping[str, Any], signatures: Mapping[str, Signature]) -> tuple[str, Signature]:
    """The key and the signature that a request names.

    Raises:
        InvalidRequest: The model has no signature of that name.
    """
    key = value.get(SIGNATURE) or DEFAULT_SIGNATURE
    if not isinstance(key, str):
        raise InvalidRequest(f"'{SIGNATURE}' key must be a string value.")
    if key not in signatures:
        raise InvalidRequest(f'Serving signature name: "{key}" not found in signature def')
    return key, signatures[key]


def read_predict(content: bytes, signatures: Mapping[str, Signature]) -> PredictBody:
    """Reads a request to `:predict`.

    Raises:
        InvalidRequest: The content is not JSON, or does not match the signature.
    """
    try:
        return _predict_body(content, signatures)
    except RecursionError:  # the parser goes deeper than what walks through its lists, above all since Python 3.12
        raise InvalidRequest(_TOO_DEEP) from None


def _predict_body(content: bytes, signatures: Mapping[str, Signature]) -> PredictBody:
    value = parse_object(content)
    key, signature = named_signature(value, signatures)
    literals = JsonLiterals(b"true" in content or b"false" in content, b"Infinity" in content)
    if INSTANCES in value and INPUTS in value:
        raise InvalidRequest(f"Not formatted correctly expecting only one of '{INSTANCES}' or '{INPUTS}' keys to exist")
    if INSTANCES in value:
        return PredictBody(key, _from_rows(signature.inputs, value[INSTANCES], literals), True)
    if INPUTS in value:
        return PredictBody(key, _from_columns(signature.inputs, value[INPUTS], literals), False)
    raise InvalidRequest(f"Missing '{INPUTS}' or '{INSTANCES}' key")


def _from_columns(specs: tuple[TensorSpec, ...], value: Any, literals: JsonLiterals) -> dict[str, Array]:
    if not isinstance(value, dict) or is_b64(value):
        if len(specs) > 1:
            raise InvalidRequest(
                f"{INPUTS} is a plain value/list, but expecting an object as multiple input tensors required"
                " as per tensorinfo_map"
            )
        return {specs[0].name: _column(specs[0], value, literals)}
    for spec in specs:
        if spec.name not in value:
            raise InvalidRequest(f"Missing named input: {spec.name} in '{INPUTS}' object.")
    _check_known(value, specs, f"'{INPUTS}' object")
    return {spec.name: _column(spec, value[spec.name], literals) for spec in specs}


def _column(spec: TensorSpec, value: Any, literals: JsonLiterals) -> Array:
    return _zero_rows(spec) if value == [] else array_of(spec, value, literals)


def _from_rows(specs: tuple[TensorSpec, ...], rows: Any, literals: JsonLiterals) -> dict[str, Array]:
    if not isinstance(rows, list):
        raise InvalidRequest(f"Expecting '{INSTANCES}' value to be an list/array")
    if not rows:
        return {spec.name: _zero_rows(spec) for spec in specs}
    if not isinstance(rows[0], dict) or is_b64(rows[0]):
        if len(specs) > 1:
            raise InvalidRequest(
                f"{INSTANCES} is a plain list, but expecting list/array of objects as multiple input tensors required"
                " as per tensorinfo_map"
            )
        return {specs[0].name: array_of(specs[0], rows, literals)}
    for index, row in enumerate(rows):
        _check_row(specs, row, index)
    return {spec.name: array_of(spec, [row[spec.name] for row in rows], literals) for spec in specs}


def _check_row(specs: tuple[TensorSpec, ...], row: Any, index: int) -> None:
    place = f"element: {index} of '{INSTANCES}' list"
    if not isinstance(row, dict):
        raise InvalidRequest(f"Failed to process {place}. Expecting an object, as the first one is")
    for spec in specs:
        if spec.name not in row:
            raise InvalidRequest(f"Failed to process {place}. JSON object: does not have named input: {spec.name}")
    _check_known(row, specs, place)


def _check_known(value: Mapping[str, Any], specs: tuple[TensorSpec, ...], place: str) -> None:
    extra = sorted(value.keys() - {spec.name for spec in specs})
    if extra:
        names = ", ".join(spec.name for spec in specs)
        raise InvalidRequest(f"Failed to process {place}. Unexpected named input: {extra[0]}; expected: {names}")


def _zero_rows(spec: TensorSpec) -> Array:
    return np.zeros((0, *(max(size, 0) for size in spec.row_shape)), spec.dtype)


def write_predict(outputs: Arrays, rows: bool) -> bytes:
    """Writes the answer to `:predict`, in which a single output goes without its name."""
    columns = {name: number_lists(array) for name, array in outputs.items()}
    if len(columns) == 1:
        (only,) = columns.values()
        return dump({"predictions" if rows else "outputs": only})
    if not rows:
        return dump({"outputs": columns})
    return dump({"predictions": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]})


def number_lists(array: Array) -> Any:
    """Nested lists of numbers, each in the fewest digits that mean the same float32 (or float16)."""
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        return array.astype(str).astype(np.float64).tolist()
    return array.tolist()


def dump(value: Any) -> bytes:
    """Writes JSON, with NaN and Infinity as numbers; a lone surrogate, which a caller may have sent, is escaped."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(errors="backslashreplace")
