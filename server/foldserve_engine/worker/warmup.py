"""Warmup records beside a SavedModel, replayed before it serves, as TensorFlow Serving does."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from foldserve_contract import tolerance
from foldserve_contract.errors import TensorError
from foldserve_contract.signature import DEFAULT_SIGNATURE, Array

from ..errors import RunFailed, WarmupFailed
from ..protocol import Engine
from ..rows import PaddedEngine

FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MOST_RECORDS = 1000  # TensorFlow Serving's
MOST_BYTES = 256 << 20
_PREDICT = "predict_log"
_log = logging.getLogger(__name__)


def replay(path: Path, engine: Engine, largest: int, sizes: Sequence[int]) -> int:
    """Runs what the records of a version directory ask; how many there were.

    Only requests to Predict of the default signature are run: it is what this server serves, and Classify and Regress
    run the same function. Where a record holds the answer too, it is compared, and a difference is logged.

    Args:
        path: The version directory.
        engine: What will serve.
        largest: Most rows in a batch; more are run in parts.
        sizes: What batches are padded up to; none: they are not.

    Raises:
        WarmupFailed: There are too many records, or one cannot be read or run; the message names it.
    """
    file = path / FILE
    if not file.exists():
        return 0
    if file.stat().st_size > MOST_BYTES:
        raise WarmupFailed(f"{file} holds {file.stat().st_size:,} bytes; at most {MOST_BYTES:,} are replayed")
    count, others = 0, Counter[str]()
    bucketed = PaddedEngine(engine, sizes)
    for count, record in enumerate(_records(file), 1):
        if count > MOST_RECORDS:
            raise WarmupFailed(f"Number of warmup records exceeds the maximum ({MOST_RECORDS}) at {file}")
        kind = _kind(record)
        if kind == _PREDICT:
            _replay(record.predict_log, bucketed, largest, f"warmup record {count} of {file}")
        else:
            others[kind] += 1
    if others:
        counts = ", ".join(f"{number} of {kind}" for kind, number in sorted(others.items()))
        _log.warning("%s: these records were not replayed: %s", file, counts)
    return count


def _records(file: Path) -> Iterator[Any]:
    import tensorflow  # only an engine that runs with it comes here

    from foldserve_contract.warmup import parse_record  # brings protocol buffers, which no other engine needs

    try:
        for content in tensorflow.data.TFRecordDataset(str(file)).as_numpy_iterator():
            yield parse_record(content)
    except tensorflow.errors.DataLossError as error:
        raise WarmupFailed(f"{error.message}. Please verify your warmup data is in TFRecord format.") from error
    except TensorError as error:
        raise WarmupFailed(f"Failed to parse warmup record: {error} from {file}") from error


def _kind(record: Any) -> str:
    """The kind of a record; a signature that is not served is a kind of its own."""
    kind: str = record.WhichOneof("log_type") or "nothing"
    if kind != _PREDICT:
        return kind
    key = record.predict_log.request.model_spec.signature_name or DEFAULT_SIGNATURE
    return kind if key == DEFAULT_SIGNATURE else f"the signature {key!r}"


def _replay(log: Any, engine: PaddedEngine, largest: int, where: str) -> None:
    try:
        inputs = _arrays(log.request.inputs)
        rows = engine.signature.check_inputs(inputs)
        starts = range(0, rows, largest)
        answers = [engine.run({name: array[at : at + largest] for name, array in inputs.items()}) for at in starts]
        expected = _arrays(log.response.outputs)
    except (TensorError, RunFailed) as error:
        raise WarmupFailed(f"{where}: {error}") from error
    if len(answers) == 1:
        _compare(answers[0], expected, where)


def _arrays(protos: Mapping[str, Any]) -> dict[str, Array]:
    from foldserve_contract.tensors import decode

    return {name: decode(proto, MOST_BYTES) for name, proto in protos.items()}


def _compare(answers: Mapping[str, Array], expected: Mapping[str, Array], where: str) -> None:
    for name, array in expected.items():
        if name not in answers or answers[name].shape != array.shape:
            _log.warning("%s: output %r is not given as it is recorded", where, name)
            continue
        scale = tolerance.scale(array)
        bound, deviation = (
            tolerance.promised(tolerance.limit(0.0, scale), scale),
            tolerance.deviation(answers[name], array),
        )
        if not tolerance.within(deviation, bound):
            _log.warning("%s: output %r deviates by %.3g from what is recorded", where, name, deviation)
