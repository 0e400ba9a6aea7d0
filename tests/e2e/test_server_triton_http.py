"""`tritonclient.http`, unchanged, against a real server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from foldserve_contract.signature import Array
from tests.bundles import change_weight, make_bundle
from tests.server.running import Running, images, running

pytest.importorskip("geventhttpclient")
triton = pytest.importorskip("tritonclient.http")
LABELS = ("rose", "tulip", "daisy", "poppy", "lily")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("models")
    make_bundle(root, "m", 4, labels=LABELS)
    with running(root) as server:
        yield server


@pytest.fixture
def client(server: Running) -> Iterator[Any]:
    with triton.InferenceServerClient(server.http.removeprefix("http://")) as client:
        yield client


def image_input(rows: Array, *, binary: bool = True) -> Any:
    tensor = triton.InferInput("image", list(rows.shape), "FP32")
    tensor.set_data_from_numpy(rows, binary_data=binary)
    return tensor


def test_the_server_and_its_model_are_ready(client: Any) -> None:
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("m") and client.is_model_ready("m", "4")
    assert not client.is_model_ready("m", "3") and not client.is_model_ready("n")


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("wanted", [True, False, None])
def test_what_it_infers_is_what_predict_answers(server: Running, client: Any, given: bool, wanted: bool | None) -> None:
    rows = images(3)
    outputs = None if wanted is None else [triton.InferRequestedOutput("scores", binary_data=wanted)]
    result = client.infer("m", [image_input(rows, binary=given)], outputs=outputs, request_id="r1")
    np.testing.assert_allclose(result.as_numpy("scores"), server.predict(image=rows)["scores"], atol=1e-6)
    output = result.get_response()
    assert (output["id"], output["model_name"], output["model_version"]) == ("r1", "m", "4")


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_bodies_may_be_compressed_both_ways(server: Running, client: Any, coding: str) -> None:
    rows = images(2)
    packed = {"request_compression_algorithm": coding, "response_compression_algorithm": coding}
    result = client.infer("m", [image_input(rows)], **packed)
    np.testing.assert_allclose(result.as_numpy("scores"), server.predict(image=rows)["scores"], atol=1e-6)


def test_classes_metadata_configuration_and_statistics(server: Running, client: Any) -> None:
    rows = images(2)
    wanted = [triton.InferRequestedOutput("scores", class_count=2)]
    output = client.infer("m", [image_input(rows)], outputs=wanted).as_numpy("scores")
    best = server.predict(image=rows)["scores"].argmax(axis=1)
    assert [text[0].decode().split(":")[2] for text in output] == [LABELS[index] for index in best]
    metadata = client.get_model_metadata("m")
    assert metadata["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 8, 8, 3]}]
    assert client.get_model_config("m")["max_batch_size"] == 32
    before = client.get_inference_statistics("m")["model_stats"][0]["inference_count"]
    client.infer("m", [image_input(images(5))])
    assert client.get_inference_statistics("m", "4")["model_stats"][0]["inference_count"] == before + 5
    assert client.get_server_metadata()["name"] == "foldserve"
    (entry,) = client.get_model_repository_index()
    assert (entry["name"], entry["version"], entry["state"]) == ("m", "4", "READY")


def test_a_refusal_is_an_exception_with_the_status(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="Request for unknown model: 'n' is not found") as caught:
        client.infer("n", [image_input(images(1))])
    assert caught.value.status() == "404"


def test_many_requests_at_once(server: Running) -> None:
    with triton.InferenceServerClient(server.http.removeprefix("http://"), concurrency=4) as client:
        request = [client.async_infer("m", [image_input(images(1, seed))]) for seed in range(8)]
        for seed, item in enumerate(request):
            expected = server.predict(image=images(1, seed))["scores"]
            np.testing.assert_allclose(item.get_result().as_numpy("scores"), expected, atol=1e-6)


def test_models_are_loaded_and_unloaded(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with (
        running(tmp_path, "--file_system_poll_wait_seconds=0") as server,
        triton.InferenceServerClient(server.http.removeprefix("http://")) as client,
    ):
        client.unload_model("m")
        assert not client.is_model_ready("m") and not client.is_server_ready() and client.is_server_live()
        client.load_model("m")
        assert client.is_model_ready("m") and client.is_server_ready()
        change_weight(make_bundle(tmp_path, "m", 2, seed=1), by=0.5)
        with pytest.raises(InferenceServerException, match="load failed for model 'm': version 2 is at UNAVAILABLE"):
            client.load_model("m")
