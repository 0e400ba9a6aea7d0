import numpy as np
import pytest

from foldserve import ChunkSize, Client
from foldserve.errors import ConfigurationError, TensorError

from .conftest import Connect
from .fake_server import ModelServer, times

ROWS = np.random.default_rng(7).normal(size=(10, 3)).astype(np.float32)


def test_an_array_gives_the_array_of_the_only_output(client: Client) -> None:
    answer = client.predict("double", ROWS)
    assert answer.dtype == np.float32
    np.testing.assert_array_equal(answer, ROWS * 2)
    answer[0] = 0  # the caller's own


def test_inputs_by_name_give_outputs_by_name(client: Client) -> None:
    a, b = ROWS[:, :2], ROWS[:, 1:]
    answer = client.predict("pair", {"a": a, "b": b})
    assert set(answer) == {"sum", "difference"}
    np.testing.assert_array_equal(answer["sum"], a + b)
    np.testing.assert_array_equal(answer["difference"], a - b)


def test_only_the_requested_outputs_are_returned(client: Client) -> None:
    a, b = ROWS[:, :2], ROWS[:, 1:]
    answer = client.predict("pair", {"a": a, "b": b}, outputs=["sum"])
    assert set(answer) == {"sum"}


def test_one_array_for_several_inputs_is_an_error_that_names_them(client: Client) -> None:
    with pytest.raises(ConfigurationError, match=r"\['a', 'b'\]"):
        client.predict("pair", ROWS)


def test_responses_with_typed_fields_are_read(client: Client, server: ModelServer) -> None:
    server.typed_fields = True
    np.testing.assert_array_equal(client.predict("double", ROWS), ROWS * 2)


def test_a_big_array_comes_back_in_order_from_small_requests(connect: Connect, server: ModelServer) -> None:
    big = np.arange(3000, dtype=np.float32).reshape(1000, 3)
    answer = connect(chunk=ChunkSize(bytes=12 * 7)).predict("double", big)
    np.testing.assert_array_equal(answer, big * 2)
    sizes = [request.inputs["x"].tensor_shape.dim[0].size for request in server.seen("Predict")]
    assert len(sizes) == 143 and max(sizes) == 7 and sum(sizes) == 1000


def test_an_input_without_rows_gives_outputs_without_rows(client: Client) -> None:
    answer = client.predict("double", ROWS[:0])
    assert answer.shape == (0, 3)


def test_messages_above_grpcs_default_limit_pass(client: Client, server: ModelServer) -> None:
    server.models["wide"] = {1: times(3, (2_000_000,))}
    row = np.linspace(-1, 1, 2_000_000, dtype=np.float32)[None]
    np.testing.assert_array_equal(client.predict("wide", row), row * 3)


def test_lists_and_numpys_default_dtypes_are_cast_to_the_models(client: Client) -> None:
    for given in (ROWS.tolist(), ROWS.astype(np.float64), [[1, 2, 3]], np.array([[1, 2, 3]])):
        answer = client.predict("double", given)
        np.testing.assert_array_equal(answer, np.asarray(given, np.float32) * 2)


def test_floats_are_never_cast_to_integers(client: Client, server: ModelServer) -> None:
    server.models["ints"] = {1: times(2, dtype="int32")}
    with pytest.raises(TensorError, match=r"takes int32, received float32.*astype\(np.int32\)"):
        client.predict("ints", ROWS)
    with pytest.raises(TensorError, match="do not fit"):
        client.predict("ints", [[2**40, 0, 0]])
    assert not server.seen("Predict")


def test_metadata_is_fetched_once_for_each_model(client: Client, server: ModelServer) -> None:
    for _ in range(3):
        client.predict("double", ROWS)
    assert len(server.seen("Predict")) == 3
    assert len(server.seen("GetModelMetadata")) == 1
