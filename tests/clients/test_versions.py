"""Versions: one version answers a call, whatever happens on the server meanwhile."""

from typing import Any

import numpy as np
import pytest

from foldserve import ChunkSize, Client
from foldserve.errors import FailedPrecondition, InvalidInput, NotFound, ProtocolError, VersionGone

from .conftest import Connect
from .fake_server import ModelServer, times

ROWS = np.arange(60, dtype=np.float32).reshape(20, 3)
SMALL = ChunkSize(rows=2)


def versions_asked(server: ModelServer) -> list[int]:
    return [request.model_spec.version.value for request in server.seen("Predict")]


def test_the_first_chunks_version_pins_the_rest(connect: Connect, server: ModelServer) -> None:
    def publish_and_double(inputs: dict[str, Any]) -> dict[str, Any]:
        server.models["double"].setdefault(2, times(-7))  # from the first chunk on
        return {"y": inputs["x"] * 2}

    client = connect(chunk=SMALL)
    client.metadata("double")
    server.models["double"][1].run = publish_and_double
    np.testing.assert_array_equal(client.predict("double", ROWS), ROWS * 2)
    assert versions_asked(server) == [0] + [1] * 9
    assert client.predict_versioned("double", ROWS).version == 2


def test_the_whole_call_is_repeated_when_its_version_goes_away(connect: Connect, server: ModelServer) -> None:
    def swap(request: Any) -> None:
        if len(server.seen("Predict")) >= 5:
            server.models["double"] = {2: times(-7)}

    server.before_predict = swap
    answer = connect(chunk=SMALL).predict_versioned("double", ROWS)
    np.testing.assert_array_equal(answer.outputs["y"], ROWS * -7)
    assert answer.version == 2


def test_versions_that_keep_going_away_raise_version_gone(connect: Connect, server: ModelServer) -> None:
    def swap(request: Any) -> None:
        if request.model_spec.HasField("version"):
            newest = request.model_spec.version.value + 1
            server.models["double"] = {newest: times(newest)}

    server.before_predict = swap
    with pytest.raises(VersionGone, match="double/5 went away"):
        connect(chunk=SMALL, in_flight=1).predict("double", ROWS)


def test_a_version_that_the_caller_named_is_the_only_one_called(client: Client, server: ModelServer) -> None:
    server.models["double"][2] = times(-7)
    np.testing.assert_array_equal(client.predict("double", ROWS, version=1), ROWS * 2)
    with pytest.raises(NotFound, match=r"Servable not found for request: Specific\(double, 9\)"):
        client.predict("double", ROWS, version=9)


def test_a_label_is_sent_first_and_then_its_version_is_pinned(connect: Connect, server: ModelServer) -> None:
    np.testing.assert_array_equal(connect(chunk=SMALL).predict("double", ROWS, version="stable"), ROWS * 2)
    labels = [request.model_spec.version_label for request in server.seen("Predict")]
    assert labels == ["stable"] + [""] * 9
    with pytest.raises(InvalidInput, match="Unrecognized servable version label: canary"):
        connect().predict("double", ROWS, version="canary")


def test_a_server_that_hides_its_version_gets_no_second_chunk(connect: Connect, server: ModelServer) -> None:
    server.reports_version = False
    np.testing.assert_array_equal(connect().predict("double", ROWS), ROWS * 2)
    with pytest.raises(ProtocolError, match="does not report which version"):
        connect(chunk=SMALL).predict("double", ROWS)


def test_outdated_metadata_is_fetched_again(client: Client, server: ModelServer) -> None:
    client.predict("double", ROWS)
    server.models["double"] = {2: times(3, dtype="float64")}
    answer = client.predict("double", ROWS)
    assert answer.dtype == np.float64
    np.testing.assert_array_equal(answer, ROWS.astype(np.float64) * 3)
    assert len(server.seen("GetModelMetadata")) == 2


def test_an_error_that_metadata_does_not_explain_is_raised(client: Client, server: ModelServer) -> None:
    client.predict("double", ROWS)
    with pytest.raises(InvalidInput, match=r"expected shape \[-1, 3\]"):
        client.predict("double", ROWS[:, :2])
    assert len(server.seen("Predict")) == 2


def test_the_servers_batch_limit_is_read_from_its_message(client: Client, server: ModelServer) -> None:
    server.models["double"][1].max_rows = 8
    for _ in range(2):
        np.testing.assert_array_equal(client.predict("double", ROWS), ROWS * 2)
    first, *sizes = [request.inputs["x"].tensor_shape.dim[0].size for request in server.seen("Predict")]
    assert first == 20
    assert sorted(sizes) == [4, 4, 8, 8, 8, 8]


def test_a_model_without_a_row_for_each_row_is_not_called_in_chunks(connect: Connect, server: ModelServer) -> None:
    server.models["double"][1].run = lambda inputs: {"y": inputs["x"].sum(axis=0)}
    np.testing.assert_array_equal(connect().predict("double", ROWS), ROWS.sum(axis=0))
    with pytest.raises(ProtocolError, match="does not have a row for each of the 2 input rows"):
        connect(chunk=SMALL).predict("double", ROWS)


def test_without_metadata_named_arrays_are_sent_unchanged(client: Client, server: ModelServer) -> None:
    server.has_metadata = False
    np.testing.assert_array_equal(client.predict("double", {"x": ROWS})["y"], ROWS * 2)
    with pytest.raises(ValueError, match="give them yourself"):
        client.predict("double", ROWS)


def test_an_unknown_signature_is_reported_with_the_existing_ones(client: Client) -> None:
    with pytest.raises(FailedPrecondition, match=r"\"embed\" not found. The model has \['serving_default'\]"):
        client.predict("double", ROWS, signature="embed")
