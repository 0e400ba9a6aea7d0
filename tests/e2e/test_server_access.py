"""Encryption, tokens and bounds, met with real clients."""

import hashlib
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import requests
from google.protobuf import text_format
from grpc_health.v1 import health_pb2, health_pb2_grpc

from foldserve_contract.protos.methods import MODEL_METHODS
from foldserve_contract.protos.open_inference import INFERENCE_METHODS
from tests.bundles import dense_model, make_bundle
from tests.certificates import Authority, Identity
from tests.server.running import METHODS, Running, failing, predict_request, running

AUTHORITY = Authority()
SERVER, CALLER = AUTHORITY.identity("server"), AUTHORITY.identity("caller")
STRANGER = Authority("stranger").identity("stranger")
FEATURES = np.zeros((1, 4), np.float32)
Code = grpc.StatusCode


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for name in ("a", "b"):
        make_bundle(root, name, 1, model=dense_model())
    return root


def ssl_config(path: Path, identity: Identity, authority: bytes = b"", *, verify: bool = False) -> Path:
    fields = {"server_key": identity.key, "server_cert": identity.certificate, "custom_ca": authority}
    lines = [f"{key}: {value.decode()!r}" for key, value in fields.items() if value]
    path.write_text("\n".join([*lines, f"client_verify: {str(verify).lower()}"]))
    return path


def call(channel: grpc.Channel, method: str, request: Any, **how: Any) -> Any:
    expected = {**METHODS, **INFERENCE_METHODS}[method]
    multi = channel.unary_unary(expected.path, expected.request.SerializeToString, expected.response.FromString)
    return multi(request, timeout=20, **how)


def predict(channel: grpc.Channel, name: str = "a", **how: Any) -> int:
    response = call(channel, "Predict", predict_request(name, features=FEATURES), **how)
    return int(response.model_spec.version.value)


def failure(channel: grpc.Channel, method: str, request: Any, **how: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, method, request, **how)
    return caught.value.code(), caught.value.details() or ""


def encrypted(server: Running, caller: Identity | None = None) -> grpc.Channel:
    key, certificate = (caller.key, caller.certificate) if caller else (None, None)
    return grpc.secure_channel(server.address, grpc.ssl_channel_credentials(AUTHORITY.certificate, key, certificate))


def test_calls_are_encrypted_with_the_server_s_certificate(models: Path, tmp_path: Path) -> None:
    file = ssl_config(tmp_path / "ssl.config", SERVER)
    with running(models, f"--ssl_config_file={file}") as server:
        with encrypted(server) as channel:
            assert predict(channel) == 1
        assert failure(server.channel, "Predict", predict_request("a", features=FEATURES))[0] is Code.UNAVAILABLE
        (tmp_path / "ca.pem").write_bytes(AUTHORITY.certificate)
        assert server.http.startswith("https://")
        with requests.Session() as session:
            session.trust_env = False
            url = f"{server.http}/v1/models/a"
            assert session.get(url, verify=str(tmp_path / "ca.pem"), timeout=20).status_code == 200
        assert not any("PRIVATE" in line for line in server.log)


def test_only_callers_that_the_authority_vouches_for_are_let_in(models: Path, tmp_path: Path) -> None:
    file = ssl_config(tmp_path / "ssl.config", SERVER, AUTHORITY.certificate, verify=True)
    with running(models, f"--ssl_config_file={file}") as server:
        with encrypted(server, CALLER) as channel:
            assert predict(channel) == 1
        for other in (None, STRANGER):
            with encrypted(server, other) as channel:
                assert failure(channel, "Predict", predict_request("a", features=FEATURES))[0] is Code.UNAVAILABLE


@pytest.mark.parametrize(
    ("identity", "how", "message"),
    [
        (Identity(b"", SERVER.certificate), {}, "server_key and server_cert must both be given"),
        (Identity(CALLER.key, SERVER.certificate), {}, "KEY_VALUES_MISMATCH"),
        (Identity(b"nonsense", SERVER.certificate), {}, "server_key and server_cert must be"),
        (SERVER, {"verify": True}, "client_verify needs custom_ca"),
    ],
)
def test_what_cannot_encrypt_keeps_the_server_from_starting(
    models: Path, tmp_path: Path, identity: Identity, how: Mapping[str, Any], message: str
) -> None:
    file = ssl_config(tmp_path / "ssl.config", identity, **how)
    status, log = failing(str(models), f"--ssl_config_file={file}")
    assert status == 2 and message in log and "PRIVATE KEY" not in log


@pytest.fixture(scope="module")
def guarded(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    file = tmp_path_factory.mktemp("tokens") / "tokens.toml"
    entries = (("reader", '["a"]', "false"), ("operator", '["*"]', "true"))
    file.write_text(
        "\n".join(
            f'[[token]]\nname = "{name}"\nsha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\n'
            f"models = {models}\nadmin = {admin}"
            for name, models, admin in entries
        )
    )
    with running(models, f"--tokens-file={file}") as server:
        yield server


def token(name: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {name}"),)


def test_without_a_token_nothing_but_health_is_told(guarded: Running) -> None:
    health = health_pb2_grpc.HealthStub(guarded.channel)
    assert health.Check(health_pb2.HealthCheckRequest(service="a"), timeout=20).status == 1
    for method, request in (
        ("Predict", predict_request("a", features=FEATURES)),
        ("GetModelStatus", METHODS["GetModelStatus"].request(model_spec={"name": "a"})),
        ("ModelReady", INFERENCE_METHODS["ModelReady"].request(name="a")),
        ("HandleReloadConfigRequest", METHODS["HandleReloadConfigRequest"].request()),
    ):
        for metadata in ((), token("nobody")):
            assert failure(guarded.channel, method, request, metadata=metadata)[0] is Code.UNAUTHENTICATED
    stream = guarded.channel.stream_stream(
        "/inference.GRPCInferenceService/ModelStreamInfer", lambda message: message, lambda content: content
    )
    with pytest.raises(grpc.RpcError) as caught:
        next(iter(stream(iter(()), timeout=20)))
    assert caught.value.code() is Code.UNAUTHENTICATED


def test_a_token_is_good_for_its_models_and_for_nothing_else(guarded: Running) -> None:
    reader = {"metadata": token("reader")}
    assert predict(guarded.channel, "a", **reader) == 1
    for name in ("b", "there-is-none"):
        answer = failure(guarded.channel, "Predict", predict_request(name, features=FEATURES), **reader)
        assert answer == (Code.PERMISSION_DENIED, f"this token gives no right to model '{name}'")
    index = call(guarded.channel, "RepositoryIndex", INFERENCE_METHODS["RepositoryIndex"].request(), **reader)
    assert [model.name for model in index.models] == ["a"]
    models = 'config { model_config_list { config { name: "a" base_path: "/a" } } }'
    reload = text_format.Parse(models, MODEL_METHODS["HandleReloadConfigRequest"].request())
    code, words = failure(guarded.channel, "HandleReloadConfigRequest", reload, **reader)
    assert code is Code.PERMISSION_DENIED and "no right to change what is served" in words
    assert predict(guarded.channel, "b", metadata=token("operator")) == 1
    code, words = failure(guarded.channel, "HandleReloadConfigRequest", reload, metadata=token("operator"))
    assert code is Code.PERMISSION_DENIED and "--allowed-roots" in words


def test_rest_asks_for_the_same_tokens(guarded: Running) -> None:
    with requests.Session() as session:
        session.trust_env = False

        def status(path: str, name: str | None = None) -> int:
            headers = {"Authorization": f"Bearer {name}"} if name else {}
            return session.get(f"{guarded.http}{path}", headers=headers, timeout=20).status_code

        guarded_paths = ("/v1/models/a", "/monitoring/prometheus/metrics", "/page/state", "/reports/a/1", "/elsewhere")
        assert [status(path) for path in guarded_paths] == [401] * 5
        assert status("/") == 200  # the page itself holds nothing, and asks for a token
        assert [status(f"/v2/health/{what}") for what in ("live", "ready")] == [200, 200]  # balancers have no token
        assert [status(f"/v2/models/{name}", "reader") for name in ("a", "b")] == [200, 403]
        assert [status(f"/v1/models/{name}", "reader") for name in ("a", "b")] == [200, 403]
        text = session.get(
            f"{guarded.http}/monitoring/prometheus/metrics", headers={"Authorization": "Bearer reader"}, timeout=20
        ).text
        assert 'model_name="a"' in text and 'model_name="b"' not in text


def test_a_unix_socket_is_one_more_way_in(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with running(models, f"--grpc_socket_path={path}") as server:
        with grpc.insecure_channel(f"unix:{path}") as channel:
            assert predict(channel) == 1
        assert predict(server.channel) == 1
        status, log = failing(str(models), "--port=0", f"--grpc_socket_path={path}")
        assert status == 2 and f"another server listens on {path}" in log
        assert server.terminate() == 0
    assert not path.exists()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with running(models, f"--grpc_socket_path={path}"), grpc.insecure_channel(f"unix:{path}") as channel:
        assert predict(channel) == 1, "the socket of a server that died is in nobody's way"


def test_more_calls_at_once_than_may_be_are_told_to_come_again(models: Path) -> None:
    with running(models, "--max-concurrent-rpcs=2", "--batch_timeout_micros=1500000") as server:
        request = predict_request("a", features=FEATURES)
        calls = [server.method("Predict").future(request, timeout=30) for _ in range(3)]
        refused = [call for call in calls if call.exception() is not None]  # whichever came last
        assert [call.code() for call in refused] == [Code.UNAVAILABLE]
        assert all(call.result().model_spec.version.value == 1 for call in calls if call not in refused)
        assert predict(server.channel) == 1
