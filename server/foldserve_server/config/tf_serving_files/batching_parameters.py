"""TensorFlow Serving's BatchingParameters, as far as they have a meaning here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import CannotStart
from .message_types import BOOL, INT64, declare
from .text_format import read

_INT64_VALUE, _STRING_VALUE = "google.protobuf.Int64Value", "google.protobuf.StringValue"
BatchingParameters = declare(
    "BatchingParameters",
    {
        "max_batch_size": (1, _INT64_VALUE),
        "batch_timeout_micros": (2, _INT64_VALUE),
        "max_enqueued_batches": (3, _INT64_VALUE),
        "num_batch_threads": (4, _INT64_VALUE),
        "thread_pool_name": (5, _STRING_VALUE),
        "allowed_batch_sizes": (6, INT64),
        "pad_variable_length_inputs": (7, BOOL),
    },
    repeated=frozenset({"allowed_batch_sizes"}),
)
_FLAG = "batching_parameters_file"
_THEIR_MAX_BATCH_SIZE = 1000
_WITHOUT_MEANING = {
    "num_batch_threads": "an engine computes one batch after another, with --threads threads",
    "thread_pool_name": "there are no pools of threads",
}


@dataclass(frozen=True, slots=True)
class BatchingFile:
    """Values of the file; None where it has none.

    Attributes:
        warnings: What it says that has no meaning here.
    """

    max_batch_size: int | None
    batch_timeout_micros: int | None
    max_queue_rows: int | None
    allowed_batch_sizes: tuple[int, ...]
    warnings: tuple[str, ...]


def read_batching(path: Path) -> BatchingFile:
    """Reads a `--batching_parameters_file`.

    Raises:
        CannotStart: It cannot be read, or asks for what cannot be.
    """
    message = read(_FLAG, path, BatchingParameters)
    try:
        return _batching(message)
    except ValueError as error:
        raise CannotStart(f"--{_FLAG}: {path}: {error}") from error


def _batching(message: Any) -> BatchingFile:
    largest = _least(message, "max_batch_size", 1)
    sizes = tuple(message.allowed_batch_sizes)
    if list(sizes) != sorted(set(sizes)) or (sizes and sizes[0] < 1):
        raise ValueError(f"allowed_batch_sizes must rise, and be 1 at least, received {list(sizes)}")
    if sizes and largest not in (None, sizes[-1]):
        raise ValueError(
            "Last entry in allowed_batch_sizes must match max_batch_size;"
            f" last entry was {sizes[-1]}; expected {largest}"
        )
    batches = _least(message, "max_enqueued_batches", 1)
    largest = largest or (sizes[-1] if sizes else None)
    warnings = [
        f"{name} has no meaning here: {why}" for name, why in _WITHOUT_MEANING.items() if message.HasField(name)
    ]
    if message.pad_variable_length_inputs:
        warnings.append("pad_variable_length_inputs has no meaning here: rows of different shapes never share a batch")
    return BatchingFile(
        largest,
        _least(message, "batch_timeout_micros", 0),
        None if batches is None else batches * (largest or _THEIR_MAX_BATCH_SIZE),
        sizes,
        tuple(f"--{_FLAG}: {warning}" for warning in warnings),
    )


def _least(message: Any, name: str, least: int) -> int | None:
    if not message.HasField(name):
        return None
    value = int(getattr(message, name).value)
    if value < least:
        raise ValueError(f"{name} must be {least} at least, received {value}")
    return value
