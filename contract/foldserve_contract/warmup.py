"""Warm-up records of TensorFlow Serving, stored beside a SavedModel."""

from typing import Any

from google.protobuf.message import DecodeError

from .errors import TensorError
from .protos import PredictionLog


def parse_record(content: bytes) -> Any:
    """Parses the PredictionLog of a record.

    Raises:
        TensorError: The record holds another message.
    """
    try:
        return PredictionLog.FromString(content)
    except DecodeError as error:
        raise TensorError(f"the record is not a {PredictionLog.DESCRIPTOR.full_name}: {error}") from error
