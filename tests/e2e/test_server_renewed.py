"""Certificates and tokens that change while the server runs, met with real clients."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import requests

from tests.bundles import dense_model, make_bundle
from tests.certificates import Authority, Identity
from tests.server.running import METHODS, Running, running

OLD, NEW = Authority("old"), Authority("new")
STATUS = METHODS["GetModelStatus"]


def write_tls(path: Path, identity: Identity, authority: Authority, *, verify: bool = True) -> None:
    fields = {"server_key": identity.key, "server_cert": identity.certificate, "custom_ca": authority.certificate}
    lines = [f"{key}: {value.decode()!r}" for key, value in fields.items()]
    path.write_text("\n".join([*lines, f"client_verify: {str(verify).lower()}"]))


def write_tokens(path: Path, *names: str) -> None:
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
    entries = (f'[[token]]\nname = "{name}"\nsha256 = "{digest}"\nmodels = ["*"]' for name, digest in digests.items())
    path.write_text("\n".join(entries))


class Harness:
    """The server, and callers with certificates of either authority."""

    def __init__(self, folder: Path, server: Running) -> None:
        self.folder = folder
        self.server = server
        self.http = server.http

    def call(self, trusted: Authority, caller: Authority, token: str = "a") -> grpc.StatusCode | None:
        """Answer to a new connection that trusts one authority and is vouched for by another."""
        own = caller.identity("caller")
        credentials = grpc.ssl_channel_credentials(trusted.certificate, own.key, own.certificate)
        with grpc.secure_channel(self.server.address, credentials) as channel:
            method = channel.unary_unary(STATUS.path, STATUS.request.SerializeToString, STATUS.response.FromString)
            metadata = (("authorization", f"Bearer {token}"),)
            try:
                method(STATUS.request(model_spec={"name": "m"}), timeout=20, metadata=metadata)
            except grpc.RpcError as error:
                return error.code()
            return None

    def get(self, trusted: Authority, caller: Authority, token: str = "a") -> int | None:
        """The status of a GET; None where there is no connection."""
        own, ca, pem = caller.identity("caller"), self.folder / "ca.pem", self.folder / "caller.pem"
        ca.write_bytes(trusted.certificate)
        pem.write_bytes(own.key + own.certificate)
        with requests.Session() as session:
            session.trust_env = False
            session.headers["Authorization"] = f"Bearer {token}"
            try:
                url = f"{self.http}/v1/models/m"
                return session.get(url, verify=str(ca), cert=str(pem), timeout=20).status_code
            except requests.ConnectionError:
                return None

    def write(self, authority: Authority) -> None:
        write_tls(self.folder / "tls.config", authority.identity("server"), authority)


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    make_bundle(tmp_path / "models", "m", 1, model=dense_model())
    write_tls(tmp_path / "tls.config", OLD.identity("server"), OLD)
    write_tokens(tmp_path / "tokens.toml", "a")
    files = (f"--ssl_config_file={tmp_path}/tls.config", f"--tokens-file={tmp_path}/tokens.toml")
    with running(tmp_path / "models", *files) as server:
        yield Harness(tmp_path, server)


def test_new_connections_meet_the_new_certificate_and_authority(harness: Harness) -> None:
    assert harness.call(OLD, OLD) is None and harness.get(OLD, OLD) == 200
    harness.write(NEW)
    harness.server.wait_for_log("new connections are encrypted with what it says now")
    assert harness.call(NEW, NEW) is None and harness.get(NEW, NEW) == 200
    for trusted, caller in ((OLD, NEW), (NEW, OLD)):
        assert harness.call(trusted, caller) is grpc.StatusCode.UNAVAILABLE and harness.get(trusted, caller) is None


def test_what_cannot_encrypt_changes_nothing_and_is_logged(harness: Harness) -> None:
    (harness.folder / "tls.config").write_text("server_key: 'none'")
    assert "stays so until the file changes" in harness.server.wait_for_log("tls.config was not applied")
    write_tls(harness.folder / "tls.config", NEW.identity("server"), NEW, verify=False)
    harness.server.wait_for_log("client_verify cannot change while the server runs")
    assert harness.call(OLD, OLD) is None and harness.get(OLD, OLD) == 200
    assert not any("PRIVATE" in line for line in harness.server.log)


def test_tokens_come_and_go(harness: Harness) -> None:
    write_tokens(harness.folder / "tokens.toml", "b", "c")
    harness.server.wait_for_log("these tokens are known now: b, c")
    assert harness.call(OLD, OLD, "a") is grpc.StatusCode.UNAUTHENTICATED and harness.get(OLD, OLD, "a") == 401
    assert harness.call(OLD, OLD, "b") is None and harness.get(OLD, OLD, "c") == 200
    (harness.folder / "tokens.toml").write_text("[[token]]")
    harness.server.wait_for_log("tokens.toml was not applied")
    assert harness.call(OLD, OLD, "b") is None
