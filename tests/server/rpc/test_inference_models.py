import asyncio
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf import text_format

from foldserve_contract.protos.open_inference import INFERENCE_METHODS
from foldserve_server.errors import InvalidRequest, NotInRepository
from foldserve_server.models.model_config import All, Latest, Policy, Specific
from foldserve_server.models.model_engine import BatchingInfo
from foldserve_server.models.query import ModelRef
from foldserve_server.models.routing_table import RoutingTable
from foldserve_server.models.servable import Servable
from foldserve_server.stats.model_stats import ModelStats
from tests.server.fakes import TWO_BY_TWO, FakeEngine, manifest, serving

from .calls import FakeAdmin, listening
from .inference_calls import ask, changed, refusal, typed_request

Code = grpc.StatusCode


def test_metadata_and_configuration_describe_the_signature() -> None:
    def table() -> RoutingTable:
        return serving(FakeEngine(manifest(signature=TWO_BY_TWO)))

    request = INFERENCE_METHODS["ModelMetadata"].request(name="m")
    metadata = ask("ModelMetadata", request, table)
    tensors = [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in (*metadata.inputs, *metadata.outputs)]
    assert tensors == [
        ("a", "FP32", [-1, 2]),
        ("b", "INT64", [-1, 3, -1]),
        ("p", "FP32", [-1, 4]),
        ("q", "FP64", [-1, -1]),
    ]
    assert list(metadata.versions) == ["1"]
    config = ask("ModelConfig", INFERENCE_METHODS["ModelConfig"].request(name="m"), table).config
    assert config.max_batch_size == 4 and config.HasField("dynamic_batching")
    assert [list(tensor.dims) for tensor in (*config.input, *config.output)] == [[2], [3, -1], [4], [-1]]


def test_metadata_and_configuration_keep_the_signatures_order() -> None:
    signature = replace(TWO_BY_TWO, inputs=TWO_BY_TWO.inputs[::-1], outputs=TWO_BY_TWO.outputs[::-1])

    def table() -> RoutingTable:
        return serving(FakeEngine(manifest(signature=signature)))

    metadata = ask("ModelMetadata", INFERENCE_METHODS["ModelMetadata"].request(name="m"), table)
    config = ask("ModelConfig", INFERENCE_METHODS["ModelConfig"].request(name="m"), table).config
    assert [tensor.name for tensor in (*metadata.inputs, *metadata.outputs)] == ["b", "a", "q", "p"]
    assert [tensor.name for tensor in (*config.input, *config.output)] == ["b", "a", "q", "p"]


@pytest.mark.parametrize(
    ("policy", "policy_text"),
    [
        (Latest(1), "latest { num_versions: 1 }"),
        (Latest(3), "latest { num_versions: 3 }"),
        (All(), "all {}"),
        (Specific(frozenset({7, 1})), "specific { versions: 1 versions: 7 }"),
    ],
)
@pytest.mark.parametrize(
    ("batching", "batching_text"),
    [
        (BatchingInfo(), "instance_group { name: 'm' kind: KIND_CPU count: 1 } dynamic_batching {}"),
        (
            BatchingInfo(sizes=(1, 4), delay_us=2000),
            "instance_group { name: 'm' kind: KIND_CPU count: 1 }"
            " dynamic_batching { preferred_batch_size: 1 preferred_batch_size: 4 max_queue_delay_microseconds: 2000 }",
        ),
        (
            BatchingInfo(device="cuda:2", together=False),
            "instance_group { name: 'm' kind: KIND_GPU count: 1 gpus: 2 }",
        ),
    ],
)
def test_the_configuration_describes_version_policy_and_batching(
    policy: Policy, policy_text: str, batching: BatchingInfo, batching_text: str
) -> None:
    def table() -> RoutingTable:
        engine = FakeEngine()
        engine.info = replace(engine.info, batching=batching)
        table = serving(engine)
        table.set_policy("m", policy)
        return table

    method = INFERENCE_METHODS["ModelConfig"]
    config = ask("ModelConfig", method.request(name="m"), table).config
    for field in ("name", "platform", "backend", "input", "output"):
        config.ClearField(field)
    text = f"version_policy {{ {policy_text} }} max_batch_size: 4 {batching_text}"
    assert config == text_format.Parse(text, type(config)()), "and no other field"


async def test_statistics_count_requests_rows_and_batches() -> None:
    async with listening(serving(FakeEngine())) as caller:
        await caller.call("ModelInfer", typed_request())
        await caller.call("ModelInfer", typed_request())
        await caller.failure("ModelInfer", changed(lambda request: request.inputs[0].contents.Clear()))
        (stats,) = (await caller.call("ModelStatistics", INFERENCE_METHODS["ModelStatistics"].request())).model_stats
        assert (stats.name, stats.version, stats.inference_count, stats.execution_count) == ("m", "1", 6, 2)
        assert (stats.inference_stats.success.count, stats.inference_stats.fail.count) == (2, 1)
        parts = stats.inference_stats
        assert parts.queue.count == parts.compute_infer.count == 2
        assert parts.success.ns == parts.queue.ns + parts.compute_infer.ns > 0


async def test_statistics_hold_the_time_of_the_latest_answer() -> None:
    table = serving(FakeEngine())
    servable = table.find(ModelRef("m"))
    servable.stats = ModelStats(now=iter((1_000, 2_500)).__next__)
    times = []
    async with listening(table) as caller:
        for _ in range(3):
            statistics = await caller.call("ModelStatistics", INFERENCE_METHODS["ModelStatistics"].request(name="m"))
            times.append(statistics.model_stats[0].last_inference)
            if len(times) < 3:
                await caller.call("ModelInfer", typed_request())
    times, servable = (times, servable)
    assert times == [0, 1_000, 2_500]
    servable.stats.fail(RuntimeError(), 1)
    assert servable.stats.last_ms == 2_500, "a failure is not an answer"


def test_the_index_gives_no_reason_for_a_version_that_serves() -> None:
    engine = FakeEngine()
    engine.info = replace(engine.info, batches="batches of up to 4 rows")
    (model,) = ask("RepositoryIndex", INFERENCE_METHODS["RepositoryIndex"].request(), lambda: serving(engine)).models
    assert (model.state, model.reason) == ("READY", "")


def test_the_index_lists_failed_versions_with_their_reasons() -> None:
    def table() -> RoutingTable:
        table = serving(FakeEngine())
        failed = Servable("m", 2)
        table.begin(failed)
        table.end(failed, "it deviates")
        return table

    every = ask("RepositoryIndex", INFERENCE_METHODS["RepositoryIndex"].request(), table).models
    assert [(item.version, item.state, item.reason) for item in every] == [
        ("2", "UNAVAILABLE", "it deviates"),
        ("1", "READY", ""),
    ]
    ready = ask("RepositoryIndex", INFERENCE_METHODS["RepositoryIndex"].request(ready=True), table).models
    assert [item.version for item in ready] == ["1"]


def change(method: str, request: Any, admin: FakeAdmin) -> tuple[Code, str] | None:
    """The failure of a change of the repository; None for success."""

    async def scenario() -> tuple[Code, str] | None:
        async with listening(serving(FakeEngine()), admin=admin) as caller:
            try:
                await caller.call(method, request)
            except grpc.aio.AioRpcError as error:
                return error.code(), error.details() or ""
            return None

    return asyncio.run(scenario())


@pytest.mark.parametrize(("method", "verb"), [("RepositoryModelLoad", "load"), ("RepositoryModelUnload", "unload")])
def test_models_are_loaded_and_unloaded_on_request(method: str, verb: str) -> None:
    request = INFERENCE_METHODS[method].request(model_name="m")
    request.parameters["unload_dependents"].bool_param = False  # as tritonclient sends it
    admin = FakeAdmin()
    assert change(method, request, admin) is None and admin.changed == [(verb, "m")]
    failed = (Code.INVALID_ARGUMENT, "load failed for model 'm': version 1 is at UNAVAILABLE state: why;")
    assert change(method, request, FakeAdmin(InvalidRequest(failed[1]))) == failed
    unknown = (Code.INTERNAL, "failed to load 'm', failed to poll from model repository")
    assert change(method, request, FakeAdmin(NotInRepository(unknown[1]))) == unknown
    elsewhere = INFERENCE_METHODS[method].request(model_name="m", repository_name="r")
    assert change(method, elsewhere, admin) == (Code.UNIMPLEMENTED, "'repository_name' specification is not supported")


@pytest.mark.parametrize("key", ["config", "file:1/model.onnx"])
def test_a_model_sent_in_a_request_is_not_loaded(key: str) -> None:
    request = INFERENCE_METHODS["RepositoryModelLoad"].request(model_name="m")
    request.parameters[key].string_param = "{}"
    admin = FakeAdmin()
    code, message = change("RepositoryModelLoad", request, admin) or (None, "")
    assert code is Code.UNIMPLEMENTED and "bundle alone" in message and not admin.changed


@pytest.mark.parametrize(
    ("method", "instead"),
    [
        ("LogSettings", "--log-level"),
        ("TraceSetting", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("SystemSharedMemoryRegister", "in the request"),
        ("CudaSharedMemoryRegister", "in the request"),
    ],
)
def test_methods_that_are_not_offered_name_the_alternative(method: str, instead: str) -> None:
    code, message = refusal(INFERENCE_METHODS[method].request(), method) or (None, "")
    assert code is Code.UNIMPLEMENTED
    assert message.startswith(f"{method} is not offered by this server: ") and instead in message


@pytest.mark.parametrize(("version", "ready"), [("", True), ("1", True), ("2", False)])
def test_readiness_of_a_version(version: str, ready: bool) -> None:
    request = INFERENCE_METHODS["ModelReady"].request(name="m", version=version)
    assert ask("ModelReady", request, lambda: serving(FakeEngine())).ready is ready


async def test_the_server_is_ready_when_the_models_present_at_its_start_are_loaded() -> None:
    async with listening(serving(FakeEngine()), started=False) as caller:
        request = INFERENCE_METHODS["ServerReady"].request()
        assert (await caller.call("ServerLive", INFERENCE_METHODS["ServerLive"].request())).live
        assert not (await caller.call("ServerReady", request)).ready
        caller.rpc.health.start()
        assert (await caller.call("ServerReady", request)).ready
