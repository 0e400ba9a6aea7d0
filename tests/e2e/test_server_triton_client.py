"""`tritonclient`, unchanged, against a real server."""

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from tritonclient.utils import InferenceServerException

from foldserve_contract.protos.open_inference import DESCRIPTORS
from foldserve_contract.signature import Array
from tests.bundles import change_weight, make_bundle
from tests.server.running import Running, images, running

try:
    import tritonclient.grpc as triton
    import tritonclient.grpc.aio as triton_aio
    from tritonclient.grpc import model_config_pb2, service_pb2
except RuntimeError as error:  # its generated code names the grpcio that it needs
    if "depends on grpcio>=" not in str(error):
        raise
    pytest.skip(f"tritonclient: {error}", allow_module_level=True)

LABELS = ("rose", "tulip", "daisy", "poppy", "lily")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("models")
    make_bundle(root, "m", 4, labels=LABELS)
    with running(root) as server:
        yield server


@pytest.fixture
def client(server: Running) -> Iterator[Any]:
    with triton.InferenceServerClient(server.address) as client:
        yield client


def image_input(rows: Array, module: Any = triton) -> Any:
    tensor = module.InferInput("image", list(rows.shape), "FP32")
    tensor.set_data_from_numpy(rows)
    return tensor


def test_the_server_and_its_model_are_ready(client: Any) -> None:
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("m") and client.is_model_ready("m", "4")
    assert not client.is_model_ready("m", "3") and not client.is_model_ready("n")


def test_what_it_infers_is_what_predict_answers(server: Running, client: Any) -> None:
    rows = images(3)
    result = client.infer("m", [image_input(rows)], request_id="r1")
    np.testing.assert_allclose(result.as_numpy("scores"), server.predict(image=rows)["scores"], atol=1e-6)
    response = result.get_response()
    assert (response.id, response.model_name, response.model_version) == ("r1", "m", "4")


def test_outputs_and_classes_may_be_chosen(server: Running, client: Any) -> None:
    rows = images(2)
    wanted = [triton.InferRequestedOutput("scores", class_count=2)]
    output = client.infer("m", [image_input(rows)], outputs=wanted).as_numpy("scores")
    scores = server.predict(image=rows)["scores"]
    assert output.shape == (2, 2)
    for row, texts in zip(scores, output, strict=True):
        best = int(row.argmax())
        score, index, label = texts[0].decode().split(":")
        assert (int(index), label) == (best, LABELS[best])
        assert float(score) == pytest.approx(row[best], abs=2e-6)


def test_metadata_configuration_and_statistics(client: Any) -> None:
    assert client.get_server_metadata().name == "foldserve"
    metadata = client.get_model_metadata("m", as_json=True)
    assert metadata["inputs"] == [{"name": "image", "datatype": "FP32", "shape": ["-1", "8", "8", "3"]}]
    config = client.get_model_config("m").config
    assert (config.max_batch_size, config.platform) == (32, "onnxruntime_onnx")
    before = client.get_inference_statistics("m").model_stats[0]
    client.infer("m", [image_input(images(5))])
    after = client.get_inference_statistics("m", "4").model_stats[0]
    assert after.inference_count - before.inference_count == 5
    assert after.execution_count - before.execution_count == 1
    assert after.inference_stats.success.count - before.inference_stats.success.count == 1
    assert after.last_inference > 1_700_000_000_000, "milliseconds since 1970"


def test_the_repository_is_listed(client: Any) -> None:
    (entry,) = client.get_model_repository_index().models
    assert (entry.name, entry.version, entry.state) == ("m", "4", "READY")
    assert entry.reason == "", "as Triton has it"


def test_models_are_loaded_and_unloaded(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with (
        running(tmp_path, "--file_system_poll_wait_seconds=0") as server,
        triton.InferenceServerClient(server.address) as client,
    ):
        client.unload_model("m")
        server.wait_for_log("m/1: unloaded")
        assert not client.is_model_ready("m") and not client.is_server_ready()
        (entry,) = client.get_model_repository_index().models
        assert entry.state == "UNAVAILABLE" and "unloaded on request" in entry.reason
        with pytest.raises(InferenceServerException, match="'m' has no available versions"):
            client.infer("m", [image_input(images(1))])
        client.load_model("m")
        assert client.is_model_ready("m") and client.infer("m", [image_input(images(1))])
        change_weight(make_bundle(tmp_path, "m", 2, seed=1), by=0.5)
        with pytest.raises(InferenceServerException) as caught:
            client.load_model("m")
        assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
        assert "load failed for model 'm': version 2 is at UNAVAILABLE state: the engine" in caught.value.message()
        make_bundle(tmp_path, "m", 2, seed=1, force=True)
        client.load_model("m")
        assert client.is_model_ready("m", "2"), "nobody looks at the folder but who is asked to"
        with pytest.raises(InferenceServerException, match="failed to load 'n', failed to poll from model repository"):
            client.load_model("n")
        with pytest.raises(InferenceServerException, match="bundle alone"):
            client.load_model("m", config="{}")


def test_there_is_no_shared_memory_to_forget(client: Any) -> None:
    client.unregister_system_shared_memory()
    client.unregister_cuda_shared_memory()
    assert not client.get_system_shared_memory_status().regions


def test_a_refusal_is_an_exception_with_the_status(client: Any) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.infer("n", [image_input(images(1))])
    assert caught.value.status() == "StatusCode.NOT_FOUND"
    assert caught.value.message() == "Request for unknown model: 'n' is not found"


def test_callbacks_and_streams_are_answered(server: Running, client: Any) -> None:
    answered: queue.Queue[tuple[Any, Any]] = queue.Queue()

    def note(result: Any, error: Any) -> None:
        answered.put((result, error))

    rows = images(1)
    expected = server.predict(image=rows)["scores"]
    client.async_infer("m", [image_input(rows)], note)
    result, error = answered.get(timeout=30)
    assert error is None
    np.testing.assert_allclose(result.as_numpy("scores"), expected, atol=1e-6)
    client.start_stream(note)
    client.async_stream_infer("n", [image_input(rows)])
    client.async_stream_infer("m", [image_input(rows)])
    assert "Request for unknown model" in str(answered.get(timeout=30)[1])
    result, error = answered.get(timeout=30)
    assert error is None
    np.testing.assert_allclose(result.as_numpy("scores"), expected, atol=1e-6)
    client.stop_stream()


async def test_the_asynchronous_client_is_answered_too(server: Running) -> None:
    async with triton_aio.InferenceServerClient(server.address) as client:
        assert await client.is_server_ready()
        result = await client.infer("m", [image_input(images(2), triton_aio)])
        np.testing.assert_allclose(result.as_numpy("scores"), server.predict(image=images(2))["scores"], atol=1e-6)


def test_our_messages_and_services_are_the_package_s() -> None:
    ours = {file.name: file for file in FileDescriptorSet.FromString(DESCRIPTORS).file}
    theirs = {module.DESCRIPTOR.name: module.DESCRIPTOR for module in (service_pb2, model_config_pb2)}
    assert ours.keys() == theirs.keys()
    for name, descriptor in theirs.items():
        proto = FileDescriptorProto()
        descriptor.CopyToProto(proto)
        assert ours[name] == FileDescriptorProto.FromString(proto.SerializeToString()), "run `make descriptors`"
