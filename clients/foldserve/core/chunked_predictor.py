"""Predictions of any size: split into chunks, cast to the model's dtypes, all from one version."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic

from foldserve_contract.signature import Array

from ..errors import FailedPrecondition, InvalidInput, NotFound, ProtocolError, Unimplemented, VersionGone
from ..transport.protocol import PendingT
from .address import ModelAddress
from .chunks import ChunkSize, count_rows, join, split
from .flow import Flow
from .inputs import prepare_inputs
from .metadata import ModelMetadata
from .metadata_cache import MetadataCache
from .pipeline import Pipeline
from .prediction import Prediction
from .retrying_call import Sender

MOST_REPEATS = 5
_TOO_MANY_ROWS = re.compile(r"larger than maximum input batch size (\d+)")  # TensorFlow Serving's message


@dataclass(frozen=True, slots=True)
class PredictArguments:
    """Arguments of one prediction.

    Attributes:
        address: Model, version and signature.
        inputs: The caller's inputs, not yet cast.
        outputs: Names of the outputs wanted; empty for all.
        deadline: Deadline of the whole call, on the transport's clock.
    """

    address: ModelAddress
    inputs: Any
    outputs: Sequence[str]
    deadline: float


class ChunkedPredictor(Generic[PendingT]):
    """Predicts in chunks; keeps the models' metadata and their limits of rows in a request."""

    def __init__(
        self, sender: Sender[PendingT], metadata_cache: MetadataCache[PendingT], size: ChunkSize, in_flight: int
    ) -> None:
        self._sender = sender
        self._metadata_cache = metadata_cache
        self._size = size
        self._in_flight = in_flight
        self._row_limits: dict[str, int] = {}

    def predict(self, arguments: PredictArguments) -> Flow[PendingT, Prediction]:
        """Predicts; if the server refuses inputs made by cached metadata, fetches it again and repeats once."""
        cached = self._metadata_cache.get(arguments.address)
        metadata = cached or (yield from self._fetch(arguments))
        try:
            return (yield from self._predict_with(arguments, metadata))
        except (InvalidInput, FailedPrecondition):
            if cached is None:
                raise
            # another version may serve by now: only metadata that has changed since makes a repetition worthwhile
            refetched = yield from self._fetch(arguments)
            if refetched is None or (refetched.inputs, refetched.outputs) == (cached.inputs, cached.outputs):
                raise
            return (yield from self._predict_with(arguments, refetched))

    def _fetch(self, arguments: PredictArguments) -> Flow[PendingT, ModelMetadata | None]:
        try:
            return (yield from self._metadata_cache.fetch(arguments.address, arguments.deadline))
        except Unimplemented:
            return None

    def _predict_with(self, arguments: PredictArguments, metadata: ModelMetadata | None) -> Flow[PendingT, Prediction]:
        inputs = prepare_inputs(arguments.inputs, metadata, arguments.address)
        try:
            return (yield from self._one_version(arguments, inputs))
        except InvalidInput as error:
            # repeat in smaller chunks, but only if the server's limit is below what was sent
            limit = _TOO_MANY_ROWS.search(error.message)
            if limit is None or int(limit[1]) >= self._chunk_size(arguments).rows_of(inputs) or int(limit[1]) < 1:
                raise
            self._row_limits[arguments.address.model] = int(limit[1])
            return (yield from self._one_version(arguments, inputs))

    def _one_version(self, arguments: PredictArguments, inputs: dict[str, Array]) -> Flow[PendingT, Prediction]:
        """Predicts all chunks with one version; repeats them all when that version is unloaded."""
        for _ in range(MOST_REPEATS):
            try:
                return (yield from self._chunks(arguments, inputs))
            except _PinLost as error:
                lost = error
        raise VersionGone(f"{lost} (after {MOST_REPEATS} attempts)") from lost.__cause__

    def _chunks(self, arguments: PredictArguments, inputs: dict[str, Array]) -> Flow[PendingT, Prediction]:
        chunks = list(split(inputs, self._chunk_size(arguments)))
        pipeline = Pipeline(
            self._sender,
            arguments.address,
            iter(chunks),
            prepare=lambda chunk: chunk,
            outputs=arguments.outputs,
            in_flight=self._in_flight,
            deadline=lambda: arguments.deadline,
        )
        parts: list[Prediction] = []
        try:
            while (part := (yield from pipeline.next())) is not None:
                parts.append(part)
        except NotFound as error:
            # only a version that this call has pinned may be replaced; one that the caller named is not found
            if arguments.address.pinned or not pipeline.address.pinned:
                raise
            raise _PinLost(f"{pipeline.address} went away during the call: {error.message}") from error
        finally:
            pipeline.close()
        if len(chunks) > 1:
            _check_rows(parts, chunks)
        return replace(parts[0], outputs=join([part.outputs for part in parts]))

    def _chunk_size(self, arguments: PredictArguments) -> ChunkSize:
        limit = self._row_limits.get(arguments.address.model, self._size.rows)
        return replace(self._size, rows=min(limit, self._size.rows))


class _PinLost(Exception):
    """The version that the first chunk pinned is no longer served."""


def _check_rows(parts: Sequence[Prediction], chunks: Sequence[dict[str, Array]]) -> None:
    for part, chunk in zip(parts, chunks, strict=True):
        rows = count_rows(chunk)
        for name, array in part.outputs.items():
            if array.shape[:1] != (rows,):
                raise ProtocolError(
                    f"output {name!r} of shape {list(array.shape)} does not have a row for each of the {rows} input"
                    f" rows; such a model cannot be called in chunks: send all rows in one request, with"
                    f" Client(chunk=ChunkSize(...))"
                )
