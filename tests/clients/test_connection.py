"""Addresses, encryption, tokens and connections."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from foldserve import Retry, Tls
from foldserve.errors import ConfigurationError, Unavailable
from foldserve.transport.channel import channel_settings, parse_target

from .conftest import Connect
from .fake_server import ModelServer, times

ROWS = np.ones((8, 3), np.float32)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("localhost:8500", (False, "localhost:8500")),
        ("grpc://models:80/", (False, "models:80")),
        ("grpcs://models.example.org:443", (True, "models.example.org:443")),
        ("[::1]:8500", (False, "[::1]:8500")),
        ("unix:/run/serve.sock", (False, "unix:/run/serve.sock")),
    ],
)
def test_targets_are_parsed(target: str, expected: tuple[bool, str]) -> None:
    assert parse_target(target) == expected


@pytest.mark.parametrize("target", ["", "localhost", "http://localhost:8501", "host:0", "host:99999", "h:1/m"])
def test_an_invalid_target_is_refused_with_an_example(target: str) -> None:
    with pytest.raises(ConfigurationError, match="such as localhost:8500"):
        parse_target(target)


def test_a_token_is_sent_with_every_call(connect: Connect, server: ModelServer) -> None:
    tokens = iter(["one", "two"])
    connect(token=lambda: next(tokens)).predict("double", ROWS)
    assert [sent["authorization"] for sent in server.metadata] == ["Bearer one", "Bearer two"]
    connect(token="fixed").status("double")
    assert server.metadata[-1]["authorization"] == "Bearer fixed"


def test_a_token_is_not_sent_in_plain_text() -> None:
    with pytest.raises(ConfigurationError, match="plain text"):
        channel_settings("models.example.org:8500", token="secret")
    channel_settings("127.0.0.1:8500", token="secret")
    channel_settings("grpcs://models.example.org:8500", token="secret")


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="key"):
        Tls(certificate="client.pem")
    with pytest.raises(ConfigurationError, match="cannot read"):
        channel_settings("localhost:1", tls=Tls(ca="/nowhere/ca.pem"))


def test_calls_use_several_connections_in_turn(connect: Connect, server: ModelServer) -> None:
    client = connect(channels=3)
    for _ in range(6):
        client.predict("double", ROWS)
    assert len(server.peers) == 3


def test_pushback_is_read_from_the_wire(connect: Connect, server: ModelServer) -> None:
    from .fake_server import Refusal

    server.refusals.append(Refusal("UNAVAILABLE", "queue full", "1"))
    np.testing.assert_array_equal(connect().predict("double", ROWS), ROWS * 2)
    server.refusals.append(Refusal("UNAVAILABLE", "draining", "-1"))
    with pytest.raises(Unavailable, match="draining"):
        connect().predict("double", ROWS)
    assert len(server.seen("Predict")) == 3


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is needed to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    key, chain = folder / "key.pem", folder / "chain.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", chain, *subject], check=True, capture_output=True)
    return key, chain


@pytest.fixture
def guarded(certificate: tuple[Path, Path]) -> Iterator[ModelServer]:
    """A server that requires a certificate of its callers."""
    key, chain = (path.read_bytes() for path in certificate)
    credentials = grpc.ssl_server_credentials([(key, chain)], chain, require_client_auth=True)
    running = ModelServer({"double": {1: times(2)}}).start(credentials=credentials)
    yield running
    running.stop()


def test_mutual_tls(connect: Connect, guarded: ModelServer, certificate: tuple[Path, Path]) -> None:
    key, chain = certificate
    client = connect(guarded.target, tls=Tls(ca=chain, certificate=chain, key=key), token="secret")
    np.testing.assert_array_equal(client.predict("double", ROWS), ROWS * 2)
    for tls in (Tls(ca=chain), None):  # no certificate; no encryption
        with pytest.raises(Unavailable):
            connect(guarded.target, tls=tls, retry=Retry(attempts=1)).predict("double", ROWS)
