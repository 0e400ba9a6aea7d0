from collections.abc import Iterator

import numpy as np
import pytest

from foldserve import Client
from foldserve.errors import InvalidInput, NotFound, TensorError

from .conftest import Connect
from .fake_server import ModelServer, times

BATCHES = [np.full((rows, 3), rows, np.float32) for rows in (1, 4, 2, 3)]


def test_batches_are_answered_in_order(client: Client) -> None:
    answers = [prediction.outputs["y"] for prediction in client.stream("double", BATCHES)]
    assert len(answers) == 4
    for batch, answer in zip(BATCHES, answers, strict=True):
        np.testing.assert_array_equal(answer, batch * 2)


def test_batches_are_taken_only_below_the_limit_in_flight(connect: Connect) -> None:
    taken: list[int] = []

    def endless() -> Iterator[np.ndarray]:
        while True:
            taken.append(1)
            yield BATCHES[0]

    stream = connect(in_flight=3).stream("double", endless())
    for _ in range(5):
        next(stream)
    stream.close()
    assert len(taken) <= 5 + 3
    with pytest.raises(StopIteration):
        next(stream)


def test_a_refused_batch_does_not_end_the_stream(client: Client) -> None:
    stream = client.stream("double", [BATCHES[0], np.ones((2, 5), np.float32), BATCHES[1]])
    np.testing.assert_array_equal(next(stream).outputs["y"], BATCHES[0] * 2)
    with pytest.raises(InvalidInput, match="expected shape"):
        next(stream)
    np.testing.assert_array_equal(next(stream).outputs["y"], BATCHES[1] * 2)
    with pytest.raises(StopIteration):
        next(stream)


def test_a_batch_that_cannot_be_sent_fails_in_its_order(client: Client, server: ModelServer) -> None:
    server.models["ints"] = {1: times(2, dtype="int32")}
    stream = client.stream("ints", [[[1, 2, 3]], [[0.5, 0, 0]], [[4, 5, 6]]])
    assert next(stream).outputs["y"].tolist() == [[2, 4, 6]]
    with pytest.raises(TensorError, match="takes int32"):
        next(stream)
    assert next(stream).outputs["y"].tolist() == [[8, 10, 12]]


def test_a_stream_keeps_its_version(connect: Connect, server: ModelServer) -> None:
    stream = connect(in_flight=1).stream("double", BATCHES)
    assert next(stream).version == 1
    server.models["double"][2] = times(-7)
    assert next(stream).version == 1
    del server.models["double"][1]
    with pytest.raises(NotFound, match=r"Specific\(double, 1\)"):
        next(stream)
