"""Records beside a SavedModel, replayed before it serves."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from foldserve_contract.protos import PredictionLog
from foldserve_contract.signature import Array, Arrays, Signature, TensorSpec
from foldserve_contract.tensors import encode_into
from foldserve_engine.errors import RunFailed, WarmupFailed
from foldserve_engine.worker import warmup
from foldserve_engine.worker.warmup import FILE, replay

SIGNATURE = Signature((TensorSpec("x", "float32", (-1, 2)),), (TensorSpec("y", "float32", (-1, 2)),))
ROWS = np.array([[1, -2], [3, 4], [-5, 6]], np.float32)


class Doubling:
    """Doubles, and notes in which batches."""

    signature = SIGNATURE

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.fails = False

    def run(self, inputs: Arrays) -> dict[str, Array]:
        if self.fails:
            raise RunFailed("it cannot")
        self.batches.append(len(inputs["x"]))
        return {"y": inputs["x"] * np.float32(2)}

    def close(self) -> None:
        """Nothing is held."""


def predict(rows: Array = ROWS, answer: Array | None = None, signature: str = "", name: str = "x") -> Any:
    log = PredictionLog()
    log.predict_log.request.model_spec.signature_name = signature
    encode_into(log.predict_log.request.inputs[name], rows)
    if answer is not None:
        encode_into(log.predict_log.response.outputs["y"], answer)
    return log


def write(path: Path, *records: Any) -> Path:
    (path / FILE).parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path / FILE)) as writer:
        for record in records:
            writer.write(record if isinstance(record, bytes) else record.SerializeToString())
    return path


def test_every_request_is_run_as_it_will_be_served(tmp_path: Path) -> None:
    engine = Doubling()
    large = predict(np.concatenate([ROWS] * 2), signature="serving_default")
    path = write(tmp_path, predict(), predict(ROWS[:1]), large)
    assert replay(path, engine, 4, (1, 4)) == 3
    assert engine.batches == [4, 1, 4, 4], "padded up to a bucket, and in parts where it is larger than any"


def test_without_records_there_is_nothing_to_do(tmp_path: Path) -> None:
    engine = Doubling()
    assert replay(tmp_path, engine, 4, ()) == 0 and not engine.batches


def test_what_is_not_served_is_not_run_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = Doubling()
    classify = PredictionLog()
    classify.classify_log.request.model_spec.name = "m"
    assert replay(write(tmp_path, classify, predict(signature="other"), predict()), engine, 4, ()) == 3
    assert engine.batches == [3]
    assert "1 of classify_log, 1 of the signature 'other'" in caplog.text


def test_a_recorded_answer_is_compared(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, predict(answer=ROWS * 2))
    replay(path, Doubling(), 4, ())
    assert not caplog.text
    replay(write(path, predict(answer=ROWS * 2), predict(answer=ROWS * 2 + np.float32(0.5))), Doubling(), 4, ())
    assert f"warmup record 2 of {path / FILE}: output 'y' deviates by 0.5" in caplog.text


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (predict(name="z"), r"warmup record 2 of .*: expected the inputs \['x'\], received \['z'\]"),
        (predict(ROWS.astype(np.float64)), "warmup record 2 of .*: tensor 'x': expected dtype float32"),
        (b"\xff\xff no message", "Failed to parse warmup record: "),
    ],
)
def test_a_record_that_cannot_be_run_fails_the_load(tmp_path: Path, record: Any, message: str) -> None:
    with pytest.raises(WarmupFailed, match=message):
        replay(write(tmp_path, predict(), record), Doubling(), 4, ())


def test_an_engine_that_fails_fails_the_load(tmp_path: Path) -> None:
    engine = Doubling()
    engine.fails = True
    with pytest.raises(WarmupFailed, match=r"warmup record 1 of .*: it cannot"):
        replay(write(tmp_path, predict()), engine, 4, ())


def test_a_file_of_another_format_is_told_in_tensorflow_serving_s_words(tmp_path: Path) -> None:
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_bytes(b"this is no file of records at all")
    with pytest.raises(WarmupFailed, match="Please verify your warmup data is in TFRecord format"):
        replay(tmp_path, Doubling(), 4, ())


def test_records_are_bounded_in_number_and_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warmup, "MOST_RECORDS", 2)
    path = write(tmp_path, predict(), predict())
    assert replay(path, Doubling(), 4, ()) == 2
    with pytest.raises(WarmupFailed, match=r"Number of warmup records exceeds the maximum \(2\) at "):
        replay(write(path, predict(), predict(), predict()), Doubling(), 4, ())
    monkeypatch.setattr(warmup, "MOST_BYTES", 100)
    with pytest.raises(WarmupFailed, match="at most 100 are replayed"):
        replay(path, Doubling(), 4, ())
