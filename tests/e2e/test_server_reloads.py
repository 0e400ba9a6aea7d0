"""A real server whose models are named in a file, and changed from outside."""

from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import text_format

from foldserve_contract.protos.methods import MODEL_METHODS
from foldserve_contract.tensors import decode
from tests.bundles import change_weight, dense_model, make_bundle
from tests.server.running import Running, images, predict_request, spawn

AVAILABLE, END = 30, 50


def config(*models: str) -> str:
    return "model_config_list { " + " ".join(f"config {{ {model} }}" for model in models) + " }"


def reload(server: Running, *models: str) -> None:
    request = MODEL_METHODS["HandleReloadConfigRequest"].request()
    server.call("HandleReloadConfigRequest", text_format.Parse(f"config {{ {config(*models)} }}", request))


def labelled(server: Running, label: str) -> Any:
    request = predict_request(image=images(2))
    request.model_spec.version_label = label
    response = server.call("Predict", request)
    return response.model_spec.version.value, decode(response.outputs["scores"])


def test_versions_and_labels_move_with_the_file_and_by_request(tmp_path: Path) -> None:
    for version in (1, 2):
        make_bundle(tmp_path, "m", version, seed=version)
    d = f'name: "d" base_path: "{make_bundle(tmp_path, "d", 1, model=dense_model()).parent}"'
    m = f'name: "m" base_path: "{tmp_path / "m"}" model_version_policy {{ all {{}} }}'
    stable, canary = (
        'version_labels {{ key: "{}" value: {} }}'.format(*pair) for pair in (("stable", 1), ("canary", 2))
    )
    file = tmp_path / "models.config"
    file.write_text(config(f"{m} {stable} {canary}", d))
    flags = (f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=0.05", "--engine=d=onnx")
    server = Running(spawn("--port=0", "--file_system_poll_wait_seconds=0.05", *flags))
    try:
        assert all(f"{one} (" in server.ready for one in ("d/1", "m/1", "m/2"))
        (one, first), (two, second) = labelled(server, "stable"), labelled(server, "canary")
        assert (one, two) == (1, 2) and not np.allclose(first, second)
        with pytest.raises(grpc.RpcError, match="Unrecognized servable version label: beta"):
            labelled(server, "beta")

        file.write_text(config(f"{m} {stable.replace('1', '2')}"))
        server.wait_for_log("d/1: unloaded")
        assert labelled(server, "stable")[0] == 2 and server.states("d")[1][0] == END

        change_weight(make_bundle(tmp_path, "spoiled", 1), by=1.0)
        with pytest.raises(grpc.RpcError) as caught:
            reload(server, d, f'name: "spoiled" base_path: "{tmp_path / "spoiled"}"')
        assert caught.value.code() is grpc.StatusCode.UNKNOWN
        assert "spoiled version: 1 due to error: the engine does not answer as it was" in str(caught.value.details())
        with pytest.raises(grpc.RpcError, match="not under --allowed-roots"):
            reload(server, 'name: "m" base_path: "/"')
        assert labelled(server, "stable")[0] == 2 and server.states() == {1: (AVAILABLE, ""), 2: (AVAILABLE, "")}

        reload(server, d)
        assert server.predict("d", features=np.zeros((1, 4), np.float32))["scores"].shape == (1, 3)
        server.wait_for_log("m/1: unloaded")
        server.wait_for_log("m/2: unloaded")
        assert len(server.engines()) == 1
        assert server.terminate() == 0
    finally:
        server.close()
