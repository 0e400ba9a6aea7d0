"""Metrics of a real server, as Prometheus reads them."""

from pathlib import Path

import grpc
import pytest
import requests

from tests.bundles import make_bundle
from tests.server.frontends.processes import Through, channels
from tests.server.running import images, predict_request, running

THEIRS = ":tensorflow:serving:"


def test_what_happened_is_told_to_prometheus(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 4)
    with running(tmp_path, "--allowed_batch_sizes=1,4,32") as server, requests.Session() as session:
        session.trust_env = False
        server.predict(image=images(3))
        session.get(f"{server.http}/v1/models/m", timeout=30)
        response = session.get(f"{server.http}/monitoring/prometheus/metrics", timeout=30)
        assert response.status_code == 200 and response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        samples = (line.rsplit(" ", 1) for line in response.text.splitlines() if not line.startswith("#"))
        lines = {name: float(value) for name, value in samples}
    version, path = 'model_name="m",version="4"', f'model_path="{tmp_path}/m/4"'
    assert lines[f'{THEIRS}request_count{{model_name="m",status="OK"}}'] == 2
    assert lines[f'{THEIRS}request_latency_count{{model_name="m",API="Predict",entrypoint="GRPC"}}'] == 1
    assert lines[f'{THEIRS}request_latency_count{{model_name="m",API="",entrypoint="REST"}}'] == 1
    session_of = f"{THEIRS}batching_session:"
    assert lines[f'{session_of}queuing_latency_count{{thread_pool_name="onnxruntime",{version}}}'] == 1
    assert lines[f"{session_of}input_batch_size_sum{{{version}}}"] == 3
    assert lines[f"{session_of}processed_batch_size_sum{{{version}}}"] == 4
    assert lines[f'{session_of}padding_size_sum{{execution_batch_size="4",{version}}}'] == 1
    assert lines[f'{session_of}padding_size_count{{execution_batch_size="32",{version}}}'] == 0
    assert lines[f'{THEIRS}model_warmup_latency_count{{{path},status="OK"}}'] == 1
    assert lines[f':tensorflow:cc:saved_model:load_attempt_count{{{path},status="success"}}'] == 1
    assert lines[f"foldserve_batch_rows_total{{{version}}}"] == 3
    golden = f'{{{version},engine="onnxruntime",output="scores"}}'
    deviation, bound = (lines[f"foldserve_golden_{what}{golden}"] for what in ("deviation", "bound"))
    assert 0 <= deviation <= bound
    assert lines[f"foldserve_queue_rows{{{version}}}"] == 0
    assert lines["process_resident_memory_bytes"] > 0


def test_triton_s_figures_are_of_all_front_ends_and_all_protocols(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 4)
    flags = ("--front-ends=2", "--rest_api_port=-1", "--batch_timeout_micros=60000000", "--max_batch_size=3")
    with running(tmp_path, *flags) as server, channels(server) as results, requests.Session() as session:
        session.trust_env = False
        http = server.http

        def metrics() -> dict[str, float]:
            lines = session.get(f"{http}/metrics", timeout=30).text.splitlines()
            ours = (line.removeprefix("nv_inference_").rsplit(" ", 1) for line in lines if line.startswith("nv_"))
            return {name: float(value) for name, value in ours}

        of, wrong = '{model="m",version="4"}', [[0.0]]
        for channel in results.values():
            front = Through(server, channel)
            front.predict(image=images(3))  # a full batch does not wait
            with pytest.raises(grpc.RpcError, match="expected shape"):
                front.predict(image=images(1)[:, 1:])
        assert session.post(f"{http}/v1/models/m:predict", json={"instances": wrong}, timeout=30).status_code == 400
        tensor = {"name": "image", "datatype": "FP32", "shape": [1, 1], "data": wrong}
        assert session.post(f"{http}/v2/models/m/infer", json={"inputs": [tensor]}, timeout=30).status_code == 400
        methods = [Through(server, channel).method("Predict") for channel in results.values()]
        waiting = [method.future(predict_request(image=images(1)), timeout=60) for method in methods]
        while metrics()[f"pending_request_count{of}"] < 2:
            pass
        for item in waiting:
            item.cancel()
        while metrics()[f"pending_request_count{of}"]:
            pass
        last = metrics()
    assert last[f"request_success{of}"] == last[f"exec_count{of}"] == 2 and last[f"count{of}"] == 6
    reasons = {"REJECTED": 0, "CANCELED": 2, "BACKEND": 0, "OTHER": 4}
    assert {
        reason: last[f'request_failure{{model="m",reason="{reason}",version="4"}}'] for reason in reasons
    } == reasons
    parts = [last[f"{part}_duration_us{of}"] for part in ("queue", "compute_input", "compute_infer", "compute_output")]
    assert last[f"request_duration_us{of}"] == pytest.approx(sum(parts), abs=2) and sum(parts) > 0
