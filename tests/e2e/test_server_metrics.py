"""What a real server tells Prometheus."""

from pathlib import Path

import requests

from tests.bundles import make_bundle
from tests.server.running import images, running

THEIRS = ":tensorflow:serving:"


def test_what_happened_is_told_to_prometheus(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 4)
    with running(tmp_path, "--allowed_batch_sizes=1,4,32") as server, requests.Session() as session:
        session.trust_env = False
        server.predict(image=images(3))
        session.get(f"{server.http}/v1/models/m", timeout=30)
        response = session.get(f"{server.http}/monitoring/prometheus/metrics", timeout=30)
        assert response.status_code == 200 and response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        told = (line.rsplit(" ", 1) for line in response.text.splitlines() if not line.startswith("#"))
        lines = {name: float(value) for name, value in told}
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
