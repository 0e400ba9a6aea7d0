"""A real server, its engines and real bundles: answers, refusals, health and reflection."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from foldserve_contract.bundle import Bundle
from foldserve_contract.signature import Array
from tests.bundles import dense_model, make_bundle, sequence_model, two_headed_model
from tests.server.running import Running, images, predict_request, running

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    make_bundle(root, "m", 1)
    make_bundle(root, "heads", 3, model=two_headed_model())
    make_bundle(root, "steps", 1, model=sequence_model())
    return root


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[Running]:
    with running(models, "--reject-nonfinite", "--max-message-bytes=8MiB") as server:
        yield server


def golden(models: Path, name: str, version: int) -> tuple[dict[str, Array], dict[str, Array]]:
    samples = Bundle.open(models / name / str(version)).golden()
    return dict(samples.inputs), dict(samples.outputs)


def test_the_line_when_ready_names_every_model_and_what_was_verified(server: Running) -> None:
    assert server.ready.startswith(f"serving on {server.address}: heads/3 (onnxruntime, golden deviation ")
    assert ", m/1 (onnxruntime, golden deviation " in server.ready and server.ready.endswith(" allowed)")


@pytest.mark.parametrize(("name", "version"), [("m", 1), ("heads", 3), ("steps", 1)])
def test_golden_samples_come_back_as_they_were_verified(server: Running, models: Path, name: str, version: int) -> None:
    inputs, outputs = golden(models, name, version)
    answered = server.predict(name, **inputs)
    assert answered.keys() == outputs.keys()
    for key, expected in outputs.items():
        np.testing.assert_allclose(answered[key], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (images(1)[:, :4], "expected shape [-1, 8, 8, 3] (-1 is free), received [1, 4, 8, 3]"),
        (images(1).astype(np.float64), "expected dtype float32, received float64"),
        (images(1)[0], "received [8, 8, 3]"),
        (images(33), "Task size 33 is larger than maximum input batch size 32"),
        (images(1) * np.float32(np.nan), "holds NaN or infinity"),
    ],
)
def test_an_input_that_does_not_fit_never_reaches_the_engine(server: Running, array: Array, words: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        server.predict(image=array)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert words in str(caught.value.details())


def test_no_rows_are_answered_with_no_rows(server: Running) -> None:
    assert server.predict(image=images(0))["scores"].shape == (0, 5)


def test_outputs_can_be_chosen(server: Running, models: Path) -> None:
    inputs, _ = golden(models, "heads", 3)
    request = predict_request("heads", **inputs)
    request.output_filter.append("product")
    response = server.call("Predict", request)
    assert list(response.outputs) == ["product"]


def test_a_message_larger_than_may_be_is_refused_and_the_next_one_answered(server: Running) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        server.predict(image=images(16_000))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert server.predict(image=images(1))["scores"].shape == (1, 5)


def test_callers_at_once_get_their_own_rows(server: Running) -> None:
    batches = [images(1 + seed % 3, seed) for seed in range(64)]
    alone = [server.predict(image=batch)["scores"] for batch in batches]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda batch: server.predict(image=batch)["scores"], batches))
    for item, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(item, other, atol=1e-6)


def test_a_deadline_that_passed_is_told_to_its_caller_alone(server: Running) -> None:
    with stopped(server.engines()), pytest.raises(grpc.RpcError) as caught:
        server.call("Predict", predict_request(image=images(1)), timeout=0.2)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert server.predict(image=images(1))["scores"].shape == (1, 5)


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """No caller is answered meanwhile, however fast the machine is."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(("service", "status"), [("", SERVING), ("m", SERVING), ("heads", SERVING)])
def test_health_is_told_per_model_and_overall(server: Running, service: str, status: int) -> None:
    health = health_pb2_grpc.HealthStub(server.channel)
    assert health.Check(health_pb2.HealthCheckRequest(service=service), timeout=10).status == status


def test_the_health_of_what_is_unknown_is_not_found(server: Running) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        health_pb2_grpc.HealthStub(server.channel).Check(health_pb2.HealthCheckRequest(service="x"), timeout=10)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_reflection_client_finds_the_services_and_describes_them(server: Running) -> None:
    database = ProtoReflectionDescriptorDatabase(server.channel)
    services = set(database.get_services())
    assert services == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
        "tensorflow.serving.ModelService",
        "tensorflow.serving.PredictionService",
    }
    pool = DescriptorPool(database)
    for service in services:
        assert pool.FindServiceByName(service).methods
    predict = pool.FindServiceByName("tensorflow.serving.PredictionService").methods_by_name["Predict"]
    assert "inputs" in predict.input_type.fields_by_name


def test_the_front_end_holds_neither_engine_library(server: Running) -> None:
    mapped = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "grpc" in mapped
    assert "onnxruntime" not in mapped and "tensorflow" not in mapped


def test_large_requests_are_split_where_that_is_wanted(tmp_path: Path) -> None:
    make_bundle(tmp_path, "d", 1, model=dense_model(), max_batch_size=4)
    rows = np.random.default_rng(0).normal(size=(11, 4)).astype(np.float32)
    with running(tmp_path, "--enable_large_batch_splitting=true") as server:
        whole = server.predict("d", features=rows)["scores"]
        parts = np.concatenate([server.predict("d", features=rows[i : i + 1])["scores"] for i in range(11)])
    np.testing.assert_allclose(whole, parts, atol=1e-6)
