"""Warmup records of TensorFlow Serving, `assets.extra/tf_serving_warmup_requests`: requests and expected responses."""

from pathlib import Path

import tensorflow as tf

from foldserve_contract.golden import Golden
from foldserve_contract.protos import PredictionLog
from foldserve_contract.signature import DEFAULT_SIGNATURE
from foldserve_contract.tensors import encode_into

FILE = Path("assets.extra") / "tf_serving_warmup_requests"


def write_warmup(golden: Golden, model: str, directory: Path) -> None:
    """Writes one PredictionLog for each golden sample, with request and response.

    TensorFlow Serving reads the requests and ignores the responses.
    """
    path = directory / FILE
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in range(golden.rows):
            writer.write(_record(golden, model, row))


def _record(golden: Golden, model: str, row: int) -> bytes:
    log = PredictionLog()
    predict = log.predict_log
    for spec in (predict.request.model_spec, predict.response.model_spec):
        spec.name, spec.signature_name = model, DEFAULT_SIGNATURE
    for name, array in golden.inputs.items():
        encode_into(predict.request.inputs[name], array[row : row + 1])
    for name, array in golden.outputs.items():
        encode_into(predict.response.outputs[name], array[row : row + 1])
    content: bytes = log.SerializeToString(deterministic=True)
    return content
