"""The files of a version directory, except for its manifest."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from foldserve_contract.bundle import GOLDEN, ONNX
from foldserve_contract.golden import Golden
from foldserve_contract.signature import Signature

from .emit.external_data import SINGLE_FILE_BYTES, weight_bytes, write_onnx_with_external_data
from .emit.onnx_model import write_onnx
from .emit.purity import require_pure
from .emit.saved_model import serving_function, write_saved_model
from .emit.warmup import write_warmup
from .errors import DiskFailed
from .naming import NamedModel
from .samples.rows import VerificationRows
from .verify.reference import Reference

KERAS_FILE = "model.keras"
_OF_THE_MODEL = (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError)


def make_golden(rows: VerificationRows, reference: Reference, signature: Signature) -> Golden:
    """The golden rows with their float64 reference outputs, rounded to the outputs' dtypes."""
    outputs = {spec.name: reference.outputs[spec.name][: rows.golden].astype(spec.dtype) for spec in signature.outputs}
    return Golden(rows.golden_inputs, outputs)


def write_models(folded: NamedModel, signature: Signature, directory: Path) -> None:
    """Writes the SavedModel and the ONNX file.

    Raises:
        Refused: The model cannot be converted to ONNX, or the same inputs would not give the same outputs.
        OSError: The disk is full or fails.
    """
    function = serving_function(folded, signature)
    require_pure(function)
    with _disk_errors():
        write_saved_model(function, folded, directory)
    if weight_bytes(folded) > SINGLE_FILE_BYTES:
        write_onnx_with_external_data(folded, signature, directory / ONNX)
    else:
        write_onnx(function, signature, directory / ONNX)


def write_golden(golden: Golden, name: str, directory: Path) -> None:
    """Writes the golden samples and the warmup records.

    Raises:
        OSError: The disk is full or fails.
    """
    with _disk_errors():
        (directory / GOLDEN).write_bytes(golden.to_bytes())
        write_warmup(golden, name, directory)


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Turns TensorFlow's errors into `DiskFailed`: it writes files itself and wraps the system's errors in its own."""
    try:
        yield
    except tf.errors.OpError as error:
        if isinstance(error, _OF_THE_MODEL):
            raise
        raise DiskFailed(f"the artifacts cannot be written: {error.message}") from error
