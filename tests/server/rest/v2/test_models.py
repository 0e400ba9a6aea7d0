"""Methods of the Open Inference Protocol about models over HTTP."""

import asyncio
from typing import Any

import pytest

from foldserve_server.errors import InvalidRequest, NotInRepository
from foldserve_server.models.routing_table import RoutingTable
from foldserve_server.models.servable import Servable
from foldserve_server.open_inference.catalogue import ModelCatalogue
from tests.server.fakes import TWO_BY_TWO, FakeEngine, manifest, serving
from tests.server.rest.calls import listening
from tests.server.rpc.calls import FakeAdmin


def fetch(
    *paths: str, table: RoutingTable | None = None, post: Any = None, admin: FakeAdmin | None = None
) -> list[Any]:
    """Status and JSON of each path; None for an empty body."""

    async def scenario() -> list[Any]:
        answers = []
        async with listening(table or serving(FakeEngine(manifest(signature=TWO_BY_TWO))), admin=admin) as caller:
            for path in paths:
                method = caller.session.get if post is None else caller.session.post
                how = {} if post is None else {"json": post}
                async with method(path, **how) as response:
                    answers.append((response.status, await response.json() if await response.read() else None))
        return answers

    return asyncio.run(scenario())


def test_readiness_is_a_status() -> None:
    paths = ("/v2/health/live", "/v2/health/ready", "/v2/models/m/ready", "/v2/models/m/versions/1/ready")
    of_model = {"name": "m", "ready": True}
    assert fetch(*paths) == [(200, {"live": True}), (200, {"ready": True}), (200, of_model), (200, of_model)]
    unready = [(400, {"name": name, "ready": False}) for name in ("n", "m")]
    assert fetch("/v2/models/n/ready", "/v2/models/m/versions/2/ready") == unready


def test_metadata_and_configuration_hold_numbers_as_numbers() -> None:
    (status, metadata), (_, config), (_, server) = fetch("/v2/models/m", "/v2/models/m/versions/1/config", "/v2")
    assert status == 200 and (metadata["name"], metadata["versions"]) == ("m", ["1"])
    assert metadata["inputs"] == [
        {"name": "a", "datatype": "FP32", "shape": [-1, 2]},
        {"name": "b", "datatype": "INT64", "shape": [-1, 3, -1]},
    ]
    assert config["max_batch_size"] == 4 and "dynamic_batching" in config
    assert config["input"][1]["data_type"] == "TYPE_INT64" and config["input"][1]["dims"] == [3, -1]
    assert server["name"] == "foldserve" and "binary_tensor_data" in server["extensions"]


def test_statistics_are_of_a_version_a_model_or_all() -> None:
    answers = fetch("/v2/models/m/versions/1/stats", "/v2/models/m/stats", "/v2/models/stats")
    for status, statistics in answers:
        (model,) = statistics["model_stats"]
        assert status == 200 and (model["name"], model["version"], model["inference_count"]) == ("m", "1", 0)
        assert model["inference_stats"]["success"] == {"count": 0, "ns": 0}


def test_the_index_is_a_list() -> None:
    table = serving(FakeEngine())
    failed = Servable("m", 2)
    table.begin(failed)
    table.end(failed, "it deviates")
    ((_, every),) = fetch("/v2/repository/index", table=table, post={})
    assert [(item["version"], item["state"], item["reason"]) for item in every] == [
        ("2", "UNAVAILABLE", "it deviates"),
        ("1", "READY", ""),
    ]
    ((_, ready),) = fetch("/v2/repository/index", table=table, post={"ready": True})
    assert [item["version"] for item in ready] == ["1"]


@pytest.mark.parametrize("verb", ["load", "unload"])
def test_models_are_loaded_and_unloaded(verb: str) -> None:
    admin = FakeAdmin()
    path = f"/v2/repository/models/m/{verb}"
    assert fetch(path, post={"parameters": {"unload_dependents": False}}, admin=admin) == [(200, None)]
    assert admin.changed == [(verb, "m")]
    failed = "load failed for model 'm': version 1 is at UNAVAILABLE state: why;"
    assert fetch(path, post={}, admin=FakeAdmin(InvalidRequest(failed))) == [(400, {"error": failed})]
    unknown = "failed to load 'm', failed to poll from model repository"
    assert fetch(path, post={}, admin=FakeAdmin(NotInRepository(unknown))) == [(500, {"error": unknown})]


def test_a_model_sent_in_a_request_is_not_loaded() -> None:
    admin = FakeAdmin()
    ((status, answer),) = fetch("/v2/repository/models/m/load", post={"parameters": {"config": "{}"}}, admin=admin)
    assert status == 501 and "bundle alone" in answer["error"] and not admin.changed


def test_parameters_that_are_not_an_object_are_refused() -> None:
    admin = FakeAdmin()
    for odd in (5, "config", ["config"]):
        ((status, answer),) = fetch("/v2/repository/models/m/load", post={"parameters": odd}, admin=admin)
        assert status == 400 and "must be an object" in answer["error"]
    assert not admin.changed
    assert fetch("/v2/repository/models/m/load", post={"parameters": None}, admin=admin) == [(200, None)]


def test_a_version_of_too_many_digits_is_refused() -> None:
    ((status, answer),) = fetch(f"/v2/models/m/versions/{'9' * 5000}")
    assert status == 400 and "version should be an integral value > 0" in answer["error"]


def test_a_path_cannot_forge_lines_of_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ModelCatalogue, "metadata", lambda *arguments: [][0])
    ((status, _),) = fetch("/v2/models/m%0aforged")
    assert status == 500 and [record.getMessage() for record in caplog.records] == ["GET /v2/models/m%0Aforged failed"]


def test_shared_memory_is_empty_and_other_methods_are_not_offered() -> None:
    assert fetch("/v2/systemsharedmemory/status", "/v2/cudasharedmemory/region/r/status") == [(200, [])] * 2
    assert fetch("/v2/cudasharedmemory/unregister", post={}) == [(200, None)]
    (registered,) = fetch("/v2/systemsharedmemory/region/r/register", post={"key": "k"})
    assert registered[0] == 501 and registered[1]["error"].endswith("server: send tensors in the request")
    assert [status for status, _ in fetch("/v2/logging", "/v2/trace/setting", "/v2/x")] == [501, 501, 404]
    assert fetch("/v2/models/m/trace/setting")[0][0] == 501
