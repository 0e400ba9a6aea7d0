"""Records that TensorFlow Serving warms up with, beside a SavedModel."""

from typing import Any

from google.protobuf.message import DecodeError

from .errors import TensorError
from .protos import PredictionLog


def parse_record(content: bytes) -> Any:
    """The PredictionLog that a record holds.

    Raises:
        TensorError: It holds none.
    """
    try:
        return PredictionLog.FromString(content)
    except DecodeError as error:
        raise TensorError(f"the record is no {PredictionLog.DESCRIPTOR.full_name}: {error}") from error
