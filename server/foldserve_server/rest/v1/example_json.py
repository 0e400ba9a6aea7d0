"""JSON of `:classify` and `:regress`: reading of requests, writing of answers."""

import binascii
from collections import ChainMap
from typing import Any

from foldserve_contract.signature import DEFAULT_SIGNATURE

from ...errors import InvalidRequest
from ...predict.classify_regress import ClassScores, RegressionValues
from ...predict.examples import BYTES, FLOAT, INT64, Example, Feature
from ..json_tensors import B64, is_b64
from .predict_json import SIGNATURE, dump, number_lists, parse_object

_EXAMPLES, _CONTEXT = "examples", "context"
_LONGEST = 1 << 63


def read_examples(content: bytes, most: int | None = None) -> tuple[str, list[Example]]:
    """Reads the signature's key and the examples.

    Args:
        content: The body.
        most: The most examples; None for any number.

    Raises:
        InvalidRequest: The body is not JSON, or does not hold a list of at most `most` objects of features.
    """
    value = parse_object(content)
    key = value.get(SIGNATURE) or DEFAULT_SIGNATURE
    if not isinstance(key, str):
        raise InvalidRequest(f"'{SIGNATURE}' key must be a string value.")
    listed = value.get(_EXAMPLES)
    if not isinstance(listed, list):
        raise InvalidRequest(f"Missing '{_EXAMPLES}' key, or its value is not a list/array")
    if most is not None and len(listed) > most:
        raise InvalidRequest(f"Task size {len(listed)} is larger than maximum input batch size {most}")
    context = _example(value.get(_CONTEXT, {}), f"'{_CONTEXT}'")
    return key, [ChainMap(_example(item, f"example {index}"), context) for index, item in enumerate(listed)]


def _example(value: Any, place: str) -> dict[str, Feature]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"Example must be JSON object: {place} is not one")
    return {name: _feature(name, item if isinstance(item, list) else [item], place) for name, item in value.items()}


def _feature(name: str, values: list[Any], place: str) -> Feature:
    kinds = {type(value) for value in values}
    if not kinds <= {int, float}:
        return Feature(frozenset([BYTES]), [_bytes(name, value, place) for value in values])
    if kinds == {int} and all(-_LONGEST <= value < _LONGEST for value in values):
        return Feature(frozenset([INT64, FLOAT]), values)
    return Feature(frozenset([FLOAT]), values)


def _bytes(name: str, value: Any, place: str) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if not is_b64(value):
        raise InvalidRequest(f"{place}, feature {name!r}: expected numbers, or strings, or {{'{B64}': …}}")
    try:
        return binascii.a2b_base64(value[B64], strict_mode=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise InvalidRequest(f"Unable to base64 decode: {error}") from None


def write_classes(scores: ClassScores) -> bytes:
    """Writes a list of `[label, score]` for each row."""
    rows = number_lists(scores.scores)
    return dump({"results": [[list(pair) for pair in zip(scores.labels, row, strict=True)] for row in rows]})


def write_values(values: RegressionValues) -> bytes:
    """Writes a number for each row."""
    return dump({"results": number_lists(values.values)})
