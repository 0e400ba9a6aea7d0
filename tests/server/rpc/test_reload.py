import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import text_format

from foldserve_contract.protos.methods import MODEL_METHODS
from foldserve_server.errors import Forbidden, NotPossible, ReloadFailed, ServingError
from foldserve_server.models.model_config import All, Latest, ModelConfig, Specific
from foldserve_server.models.routing_table import RoutingTable
from tests.server.fakes import CountedTable
from tests.server.rpc.calls import FakeAdmin, listening

METHOD = "HandleReloadConfigRequest"
ATTEMPTS = "/tensorflow/cc/saved_model/load_attempt_count"


def request(text: str) -> Any:
    return text_format.Parse(f"config {{ {text} }}", MODEL_METHODS[METHOD].request())


def answer(text: str, admin: FakeAdmin) -> Any:
    async def ask() -> Any:
        async with listening(RoutingTable(), admin=admin) as caller:
            return await caller.call(METHOD, request(text))

    return asyncio.run(ask())


def failure(text: str, error: ServingError | None = None) -> tuple[grpc.StatusCode, str]:
    async def ask() -> tuple[grpc.StatusCode, str]:
        async with listening(RoutingTable(), admin=FakeAdmin(error)) as caller:
            return await caller.failure(METHOD, request(text))

    return asyncio.run(ask())


def test_models_policies_and_labels_are_read() -> None:
    admin = FakeAdmin()
    response = answer(
        """model_config_list {
             config { name: "a" base_path: "/models/a" model_platform: "tensorflow" }
             config { name: "b" base_path: "/models/b" model_version_policy { latest { num_versions: 2 } } }
             config { name: "c" base_path: "/models/c" model_version_policy { all {} } }
             config { name: "d" base_path: "/d"
                      model_version_policy { specific { versions: 3 versions: 7 } }
                      version_labels { key: "stable" value: 3 } version_labels { key: "canary" value: 7 } }
           }""",
        admin,
    )
    assert response.HasField("status") and response.status.error_code == 0
    assert admin.asked == [
        (
            ModelConfig("a", Path("/models/a"), Latest(1)),
            ModelConfig("b", Path("/models/b"), Latest(2)),
            ModelConfig("c", Path("/models/c"), All()),
            ModelConfig("d", Path("/d"), Specific(frozenset({3, 7})), {"stable": 3, "canary": 7}),
        )
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("custom_model_config {}", "ServerModelConfig type not supported by HandleReloadConfigRequest."),
        ("", "ServerModelConfig type not supported by HandleReloadConfigRequest."),
        ('model_config_list { config { name: "../a" base_path: "/a" } }', "model name '../a' must be"),
        (
            'model_config_list { config { name: "a" base_path: "a" } }',
            "Expected model a to have an absolute path or URI",
        ),
        ('model_config_list { config { name: "a" base_path: "gs://a" } }', "only local folders are served"),
        ('model_config_list { config { name: "a" base_path: "/a" model_platform: "x" } }', 'model_platform "x"'),
        (
            'model_config_list { config { name: "a" base_path: "/a" } config { name: "a" base_path: "/b" } }',
            "model a is configured 2 times",
        ),
        (
            'model_config_list { config { name: "a" base_path: "/a" model_version_policy { specific {} } } }',
            "the policy `specific` needs versions",
        ),
    ],
)
def test_an_invalid_configuration_is_refused(text: str, words: str) -> None:
    code, message = failure(text)
    assert code is grpc.StatusCode.INVALID_ARGUMENT and words in message


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ReloadFailed({"m version: 1": "golden"}), grpc.StatusCode.UNKNOWN),
        (NotPossible("label"), grpc.StatusCode.FAILED_PRECONDITION),
        (Forbidden("roots"), grpc.StatusCode.PERMISSION_DENIED),
    ],
)
def test_a_failed_reload_returns_the_reason(error: ServingError, code: grpc.StatusCode) -> None:
    assert failure('model_config_list { config { name: "a" base_path: "/a" } }', error) == (code, str(error))


def test_a_failed_reload_is_worded_as_tensorflow_serving_words_it() -> None:
    assert str(ReloadFailed({"m version: 1": "it is spoiled"})) == (
        "1 model(s) did not become available: {{name: m version: 1 due to error: it is spoiled}, }"
    )


async def test_the_answer_holds_the_increase_of_counters_meanwhile() -> None:
    table = CountedTable()

    class Loading(FakeAdmin):
        async def reload(self, models: Sequence[ModelConfig], origin: str) -> None:
            table.metric_counters.loaded("a", "/models/a/2", 1.0, 0.5)
            table.metric_counters.loaded("b", "/models/b/1", 1.0, 0.5)
            table.metric_counters.not_loaded("b", "/models/b/2")

    table.metric_counters.loaded("a", "/models/a/1", 1.0, 0.5)
    message = request('model_config_list { config { name: "a" base_path: "/models/a" } }')
    message.metric_names.extend([ATTEMPTS, ":tensorflow:serving:request_count", "/no/such", ATTEMPTS])
    async with listening(table, admin=Loading()) as caller:
        increases = [(m.name, m.int64_value_increase) for m in (await caller.call(METHOD, message)).metric]
    assert increases == [(ATTEMPTS, 3), (":tensorflow:serving:request_count", 0), ("/no/such", 0)]


def test_without_names_no_metric_is_returned() -> None:
    assert not answer('model_config_list { config { name: "a" base_path: "/models/a" } }', FakeAdmin()).metric
