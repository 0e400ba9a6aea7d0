"""`requests`, as people call TensorFlow Serving's REST interface, against a real server."""

import base64
import os
import select
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests

from tests.bundles import make_bundle
from tests.server.running import Running, images, running, spawn


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("models")
    make_bundle(root, "m", 4)
    with running(root) as server:
        yield server


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.mark.parametrize("rows", [2, 32])
def test_rest_answers_what_grpc_answers(server: Running, session: requests.Session, rows: int) -> None:
    given = images(rows)
    expected = server.predict(image=given)["scores"]
    url = f"{server.http}/v1/models/m:predict"
    by_row = session.post(url, json={"instances": given.tolist()}, timeout=30).json()
    np.testing.assert_allclose(by_row["predictions"], expected, atol=1e-6)
    by_column = session.post(url, json={"inputs": {"image": given.tolist()}}, timeout=30).json()
    np.testing.assert_allclose(by_column["outputs"], expected, atol=1e-6)
    content = {"b64": base64.b64encode(given.tobytes()).decode()}
    packed = session.post(url, json={"inputs": content}, timeout=30).json()
    np.testing.assert_allclose(packed["outputs"], expected, atol=1e-6)


def test_the_state_and_the_signature_are_told(server: Running, session: requests.Session) -> None:
    (version,) = session.get(f"{server.http}/v1/models/m", timeout=30).json()["model_version_status"]
    assert (version["version"], version["state"]) == ("4", "AVAILABLE")
    output = session.get(f"{server.http}/v1/models/m/versions/4/metadata", timeout=30).json()
    inputs = output["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]
    assert [dim["size"] for dim in inputs["image"]["tensor_shape"]["dim"]] == ["-1", "8", "8", "3"]


def test_a_refusal_has_status_and_words(server: Running, session: requests.Session) -> None:
    response = session.post(f"{server.http}/v1/models/n:predict", json={"instances": [1]}, timeout=30)
    assert response.status_code == 404
    assert response.json() == {"error": "Servable not found for request: Latest(n)"}


def test_what_reads_large_bodies_ends_with_the_server_however_it_ends(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path) as server:
        before = set(server.engines())
        body = {"instances": images(64).tolist()}  # more rows than a batch may have, found out after it was read
        assert requests.post(f"{server.http}/v1/models/m:predict", json=body, timeout=30).status_code == 400
        helpers = [os.pidfd_open(process) for process in set(server.engines()) - before]
        assert helpers
        server.process.kill()
        for helper in helpers:
            ended = select.poll()
            ended.register(helper, select.POLLIN)
            assert ended.poll(30_000), "it outlived the server"
            os.close(helper)


def test_rest_can_be_switched_off(tmp_path: Path) -> None:
    server = Running(spawn(str(tmp_path), "--port=0", "--rest_api_port=0"))
    try:
        server.terminate()
        assert server.lines.get(timeout=30) == ""  # the ready line was the only one
    finally:
        server.close()


def test_a_server_with_rest_ends_as_it_should(tmp_path: Path) -> None:
    with running(tmp_path) as other:
        assert requests.get(f"{other.http}/v1/models/m", timeout=30).status_code == 404
        assert other.terminate() == 0
