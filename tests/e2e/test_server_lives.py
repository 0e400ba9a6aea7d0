"""The life of a real server: versions that come and go, engines that die, signals."""

import os
import select
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from foldserve_contract.signature import Array
from tests.bundles import change_weight, dense_model, make_bundle
from tests.server.running import Running, failing, images, predict_request, running, spawn, trailing

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
LOADING, AVAILABLE, END = 20, 30, 50


def watch(server: Running, service: str = "") -> Iterator[int]:
    stub = health_pb2_grpc.HealthStub(server.channel)
    for response in stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=60):
        yield response.status


def scores(server: Running) -> Array:
    return server.predict(image=images(2))["scores"]


def test_an_empty_repository_serves_what_arrives(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert server.ready.endswith(f"nothing yet; watching {tmp_path} for bundles")
        server.wait_for_log("holds no bundle")
        model, overall = watch(server, "m"), watch(server)
        assert (next(model), next(overall)) == (UNKNOWN, NOT_SERVING)
        make_bundle(tmp_path, "m", 1)
        server.wait_for_log("m/1: serving")
        assert SERVING in (next(model), next(model)) and next(overall) == SERVING
        assert scores(server).shape == (2, 5)


def test_a_new_version_takes_over_without_a_failed_request_and_a_spoiled_one_does_not(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1, seed=1)
    with running(tmp_path) as server:
        before = scores(server)
        make_bundle(tmp_path, "m", 2, seed=2)
        answers = []
        while not any("m/1: unloaded" in line for line in server.log):
            answers.append(scores(server))
        after = scores(server)
        assert not np.allclose(before, after)
        assert all(np.allclose(answer, before) or np.allclose(answer, after) for answer in answers)
        assert server.states() == {2: (AVAILABLE, "batches of up to 32 rows; warmed: 1, 32"), 1: (END, "")}

        spoiled = make_bundle(tmp_path / "aside", "m", 3, seed=3)
        change_weight(spoiled, by=1.0)
        shutil.move(spoiled, tmp_path / "m" / "3")
        server.wait_for_log("m/3: refused")
        state, reason = server.states()[3]
        assert state == END and "golden" in reason and "allowed" in reason
        np.testing.assert_array_equal(scores(server), after)

        make_bundle(tmp_path, "m", 3, seed=3, force=True)
        server.wait_for_log("m/3: serving")
        assert not np.allclose(scores(server), after)
    with running(tmp_path) as again:
        assert "m/3" in again.ready


def test_a_server_started_beside_a_spoiled_version_serves_the_one_below(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    model = make_bundle(tmp_path, "m", 2) / "model.onnx"
    model.write_bytes(bytes(model.stat().st_size))
    with running(tmp_path) as server:
        assert ": m/1 (" in server.ready and server.ready.endswith("; refused: m/2")
        server.wait_for_log("m/2: refused")
        assert server.states()[2][0] == END and "model.onnx" in server.states()[2][1]


def test_a_killed_engine_costs_nobody_else_anything(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    make_bundle(tmp_path, "d", 1, model=dense_model())
    with running(tmp_path) as server:
        before = scores(server)
        health = watch(server, "m")
        assert next(health) == SERVING
        os.kill(pid_of(server, "m"), signal.SIGKILL)
        assert next(health) == NOT_SERVING
        assert server.predict("d", features=np.zeros((1, 4), np.float32))["scores"].shape == (1, 3)
        try:
            scores(server)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert int(trailing(error)["grpc-retry-pushback-ms"]) > 0
        assert next(health) == SERVING
        np.testing.assert_array_equal(scores(server), before)


def test_an_engine_that_crashes_again_and_again_is_given_up_for_the_version_below(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    make_bundle(tmp_path, "m", 2, seed=2)
    with running(tmp_path) as server:
        health = watch(server, "m")
        assert next(health) == SERVING
        for _ in range(5):
            os.kill(server.engines()[0], signal.SIGKILL)
            assert next(health) == NOT_SERVING
            assert next(health) == SERVING
        assert server.states()[2][0] == END and "crashed 5 times" in server.states()[2][1]
        assert scores(server).shape == (2, 5) and server.states()[1][0] == AVAILABLE


def pid_of(server: Running, name: str) -> int:
    """The engine of a model, as the log names it."""
    return int(server.wait_for_log(f"{name}/1: serving").rpartition("pid ")[2].rstrip(")\n"))


def test_sigterm_answers_what_was_accepted_and_exits_with_0(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path, "--batch_timeout_micros=700000") as server:
        health = watch(server)
        assert next(health) == SERVING
        pending = [server.method("Predict").future(predict_request(image=images(1)), timeout=30) for _ in range(3)]
        server.states()
        assert server.terminate() == 0
        assert next(health) == NOT_SERVING
        assert [future.result().model_spec.version.value for future in pending] == [1, 1, 1]
        with pytest.raises(grpc.RpcError) as caught:
            scores(server)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_the_drain_delay_says_not_serving_and_goes_on_answering(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path, "--drain-delay=60") as server:
        health = watch(server)
        assert next(health) == SERVING
        server.process.send_signal(signal.SIGTERM)
        assert next(health) == NOT_SERVING
        assert scores(server).shape == (2, 5)
        assert server.terminate() == 0, "a second signal cuts the delay short"


def test_the_grace_ends_what_takes_too_long(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path, "--batch_timeout_micros=60000000", "--grace=0.3") as server:
        pending = server.method("Predict").future(predict_request(image=images(1)), timeout=60)
        server.states()
        begin = time.monotonic()
        assert server.terminate() == 0
        assert time.monotonic() - begin < 10
        assert pending.exception() is not None


def test_engines_end_with_the_server_that_is_killed(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path) as server:
        (engine,) = server.engines()
        ended = select.poll()
        descriptor = os.pidfd_open(engine)
        ended.register(descriptor, select.POLLIN)
        server.process.kill()
        assert ended.poll(30_000), "the engine is still there"
        os.close(descriptor)


@pytest.mark.parametrize("front_ends", [1, 2])
def test_a_signal_while_a_version_loads_kills_the_candidate(tmp_path: Path, front_ends: int) -> None:
    make_bundle(tmp_path, "m", 1)
    process = spawn(str(tmp_path), "--port=0", f"--front-ends={front_ends}")
    assert process.stderr is not None
    for line in process.stderr:
        if "m/1: loading" in line:
            break
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0 and not out


def test_a_port_in_use_is_refused_even_where_the_system_would_share_it(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        status, log = failing(str(tmp_path), f"--port={port}")
    assert status == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in log and "--port" in log


def test_two_servers_do_not_share_a_port(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        status, log = failing(str(tmp_path), "--port", server.address.rpartition(":")[2])
    assert status == 2 and "Address already in use" in log


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["/nowhere/at/all"], "/nowhere/at/all is not a directory"),
        (["/tmp/" + 300 * "n"], "cannot be read: File name too long"),
        (["/tmp", "--grpc_socket_path=/tmp/" + 300 * "n"], "--grpc_socket_path: /tmp/nnn"),
        ([], "say what to serve"),
        (["gs://bucket/models"], "gs://bucket/models: only local folders are served"),
        (["--model_base_path=s3://bucket/m"], "s3://bucket/m: only local folders are served"),
        (["models", "--ssl_config_file=x"], "x cannot be read"),
        (["models", "--port=x"], "argument --port: expected a whole number"),
        (["models", "--max_batch_size=4", "--allowed_batch_sizes=1,8"], "Last entry in allowed_batch_sizes must match"),
        (["/tmp", "--device=quantum"], "device 'quantum' is not known"),
        (["/tmp", "--host=192.0.2.1"], "cannot listen on 192.0.2.1:8500: Cannot assign requested address"),
    ],
)
def test_what_cannot_be_started_says_why_and_exits_with_2(words: list[str], message: str) -> None:
    status, log = failing(*words)
    assert status == 2 and message in log
    assert "Traceback" not in log


def test_flags_of_tensorflow_serving_are_understood(tmp_path: Path) -> None:
    make_bundle(tmp_path, "anything", 1)
    base = tmp_path / "anything"
    flags = (f"--model_base_path={base}", "--model-name=digits", "--rest_api_port=0", "--enable_batching=true")
    server = Running(spawn("--port=0", *flags))
    try:
        assert ": digits/1 (" in server.ready
        assert server.predict("digits", image=images(1))["scores"].shape == (1, 5)
    finally:
        server.close()
