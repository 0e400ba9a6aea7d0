"""The Predict call as callers see it: any size, one version, the model's dtypes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic

from foldserve_contract.signature import Array

from ..errors import FailedPrecondition, InvalidInput, NotFound, ProtocolError, Unimplemented, VersionGone
from ..transport.protocol import PendingT
from .address import ModelAddress
from .attempt import Sender
from .chunks import ChunkSize, count_rows, join, split
from .flow import Flow
from .inputs import prepare
from .metadata import ModelMetadata
from .pipeline import Pipeline
from .prediction import Prediction
from .signatures import Signatures

REPEATS = 5
_TOO_MANY_ROWS = re.compile(r"larger than maximum input batch size (\d+)")  # TensorFlow Serving's words


@dataclass(frozen=True, slots=True)
class Question:
    """One prediction to make: where, of what, and what is wanted of it.

    Attributes:
        address: Model, version and signature.
        inputs: As the caller gave them.
        outputs: Names of the outputs wanted; empty for all.
        deadline: On the transport's clock, for everything this takes.
    """

    address: ModelAddress
    inputs: Any
    outputs: Sequence[str]
    deadline: float


class Predictor(Generic[PendingT]):
    """Answers questions; remembers what the models take and how many rows at once."""

    def __init__(
        self, sender: Sender[PendingT], signatures: Signatures[PendingT], size: ChunkSize, in_flight: int
    ) -> None:
        self._sender = sender
        self._signatures = signatures
        self._size = size
        self._in_flight = in_flight
        self._row_limits: dict[str, int] = {}

    def predict(self, question: Question) -> Flow[PendingT, Prediction]:
        """The answer. Metadata that no longer fits is asked for anew, once."""
        known = self._signatures.known(question.address)
        metadata = known or (yield from self._ask(question))
        try:
            return (yield from self._predict_as(question, metadata))
        except (InvalidInput, FailedPrecondition):
            if known is None:
                raise
            fresh = yield from self._ask(question)
            if fresh is None or (fresh.inputs, fresh.outputs) == (known.inputs, known.outputs):
                raise
            return (yield from self._predict_as(question, fresh))

    def _ask(self, question: Question) -> Flow[PendingT, ModelMetadata | None]:
        try:
            return (yield from self._signatures.ask(question.address, question.deadline))
        except Unimplemented:
            return None

    def _predict_as(self, question: Question, metadata: ModelMetadata | None) -> Flow[PendingT, Prediction]:
        inputs = prepare(question.inputs, metadata, question.address)
        try:
            return (yield from self._one_version(question, inputs))
        except InvalidInput as error:
            limit = _TOO_MANY_ROWS.search(error.message)
            if limit is None or int(limit[1]) >= self._chunk_size(question).rows_of(inputs) or int(limit[1]) < 1:
                raise
            self._row_limits[question.address.model] = int(limit[1])
            return (yield from self._one_version(question, inputs))

    def _one_version(self, question: Question, inputs: dict[str, Array]) -> Flow[PendingT, Prediction]:
        """Repeats the whole call when the version that answered first goes away."""
        for _ in range(REPEATS):
            try:
                return (yield from self._chunks(question, inputs))
            except _PinLost as lost:
                gone = lost
        raise VersionGone(f"{gone} (after {REPEATS} beginnings)") from gone.__cause__

    def _chunks(self, question: Question, inputs: dict[str, Array]) -> Flow[PendingT, Prediction]:
        chunks = list(split(inputs, self._chunk_size(question)))
        pipeline = Pipeline(
            self._sender,
            question.address,
            iter(chunks),
            prepare=lambda chunk: chunk,
            outputs=question.outputs,
            in_flight=self._in_flight,
            deadline=lambda: question.deadline,
        )
        parts: list[Prediction] = []
        try:
            while (part := (yield from pipeline.next())) is not None:
                parts.append(part)
        except NotFound as error:
            if question.address.pinned or not pipeline.address.pinned:
                raise
            raise _PinLost(f"{pipeline.address} went away during the call: {error.message}") from error
        finally:
            pipeline.close()
        if len(chunks) > 1:
            _check_rows(parts, chunks)
        return replace(parts[0], outputs=join([part.outputs for part in parts]))

    def _chunk_size(self, question: Question) -> ChunkSize:
        limit = self._row_limits.get(question.address.model, self._size.rows)
        return replace(self._size, rows=min(limit, self._size.rows))


class _PinLost(Exception):
    """The version that the first chunk pinned is no longer there."""


def _check_rows(parts: Sequence[Prediction], chunks: Sequence[dict[str, Array]]) -> None:
    for part, chunk in zip(parts, chunks, strict=True):
        rows = count_rows(chunk)
        for name, array in part.outputs.items():
            if array.shape[:1] != (rows,):
                raise ProtocolError(
                    f"output {name!r} of shape {list(array.shape)} does not answer {rows} rows one by one; such a"
                    f" model cannot be asked in chunks: give all of it in one, with Client(chunk=ChunkSize(...))"
                )
