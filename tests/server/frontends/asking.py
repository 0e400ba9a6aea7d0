"""Requests of the tests of several front ends."""

from pathlib import Path
from typing import Any

import requests
from grpc_health.v1 import health_pb2, health_pb2_grpc

from foldserve_contract.protos import GetModelMetadataRequest
from foldserve_contract.protos.methods import MODEL_METHODS
from foldserve_contract.protos.open_inference import INFERENCE_METHODS
from tests.server.frontends.processes import FRONT, is_listening, of_kind
from tests.server.running import Running

METRICS = "/monitoring/prometheus/metrics"


def health(server: Running, name: str = "") -> int:
    stub = health_pb2_grpc.HealthStub(server.channel)
    return int(stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=30).status)


def metadata(server: Running) -> bytes:
    request = GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "m"
    return bytes(server.call("GetModelMetadata", request).SerializeToString(deterministic=True))


def index(server: Running) -> bytes:
    method = INFERENCE_METHODS["RepositoryIndex"]
    call = server.channel.unary_unary(method.path, method.request.SerializeToString, method.response.FromString)
    return bytes(call(method.request(), timeout=30).SerializeToString(deterministic=True))


def statistics(server: Running, name: str = "m") -> int:
    """Rows that were inferred."""
    method = INFERENCE_METHODS["ModelStatistics"]
    call = server.channel.unary_unary(method.path, method.request.SerializeToString, method.response.FromString)
    return sum(model.inference_count for model in call(method.request(name=name), timeout=30).model_stats)


def metric(server: Running, line: str) -> float:
    content = requests.get(server.http + METRICS, timeout=30).text
    return sum(float(item.rpartition(" ")[2]) for item in content.splitlines() if item.startswith(line))


def answered(server: Running, name: str = "m") -> float:
    return metric(server, f':tensorflow:serving:request_count{{model_name="{name}",status="OK"}}')


def reload_request(**paths: Path) -> Any:
    request = MODEL_METHODS["HandleReloadConfigRequest"].request()
    for name, path in paths.items():
        model = request.config.model_config_list.config.add(name=name, base_path=str(path))
        model.model_platform = "tensorflow"
    return request


def first_listener(server: Running) -> int:
    """The front end that has REST."""
    port = int(server.http.rpartition(":")[2])
    return next(pid for pid in of_kind(server, FRONT) if is_listening(pid, port))
