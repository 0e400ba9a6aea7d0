"""A real server with several front ends: who answers, and by which table."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import requests
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.bundles import dense_model, make_bundle
from tests.server.frontends.asking import answered, health, index, metadata, metric, reload_request, statistics
from tests.server.frontends.processes import (
    ENGINE,
    FRONT,
    Through,
    ask_all,
    channels,
    children,
    descendants,
    libraries,
    of_kind,
    wait_for_end,
)
from tests.server.running import PATIENCE_S, Running, failing, images, predict_request, running

AVAILABLE, END = 30, 50


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of two front ends that nobody kills."""
    models = tmp_path_factory.mktemp("models")
    make_bundle(models, "m", 1)
    make_bundle(models, "m", 2, seed=2)
    make_bundle(models, "d", 1, model=dense_model())
    with running(models, "--front-ends=2", "--rest_api_port=-1") as server:
        yield server


def test_every_front_end_answers_alike(server: Running) -> None:
    for ask in (Running.states, metadata, index, health, lambda item: health(item, "m")):
        first, second = ask_all(server, ask)
        assert first == second
    item, two = ask_all(server, lambda through: through.predict(image=images(3))["scores"])
    np.testing.assert_array_equal(item, two)
    assert ask_all(server, Running.states)[0].keys() == {2}


def test_counts_of_all_front_ends_are_added_up(server: Running) -> None:
    before, rows = answered(server, "d"), statistics(server, "d")
    for _ in range(3):
        ask_all(server, lambda item: item.predict("d", features=np.zeros((2, 4), np.float32)))
    assert answered(server, "d") == before + 6
    assert ask_all(server, lambda item: statistics(item, "d")) == [rows + 12, rows + 12]
    assert metric(server, 'foldserve_queue_rows{model_name="d"') == 0
    page = requests.get(f"{server.http}/page/state", timeout=30).json()
    (model,) = (item for item in page["models"] if item["name"] == "d")
    assert model["versions"][0]["rows"] == rows + 12 and len(model["versions"][0]["percentiles_ms"]) == 3


def test_each_process_holds_what_it_needs_and_nothing_else(server: Running) -> None:
    fronts, engines = of_kind(server, FRONT), of_kind(server, ENGINE)
    assert (len(fronts), len(engines)) == (2, 2)
    supervisor = libraries(server.process.pid)
    assert not any(word in supervisor for word in ("cygrpc", "onnxruntime", "tensorflow", "aiohttp"))
    for pid in fronts:
        held = libraries(pid)
        assert "cygrpc" in held and not any(word in held for word in ("onnxruntime", "tensorflow"))
        assert os.getsid(pid) == pid, "Ctrl-C must reach the supervisor alone"
    for pid in engines:
        held = libraries(pid)
        assert "onnxruntime" in held and not any(word in held for word in ("cygrpc", "tensorflow"))
    everything = [supervisor, *map(libraries, fronts + engines)]
    assert not any("/dev/shm" in held for held in everything)
    assert all("memfd:foldserve-" in held for held in everything), "what is shared has no name"


def test_a_second_server_on_the_port_is_refused_however_many_front_ends_it_has(server: Running, tmp_path: Path) -> None:
    port = server.address.rpartition(":")[2]
    for words in ((), ("--front-ends=2",)):
        status, log = failing(str(tmp_path), "--port", port, "--rest_api_port=0", *words)
        assert status == 2 and "Address already in use" in log and "--port" in log


def test_what_cannot_be_listened_on_is_said_once_and_ends_the_start(server: Running, tmp_path: Path) -> None:
    port = server.http.rpartition(":")[2]
    status, log = failing(str(tmp_path), "--port=0", f"--rest_api_port={port}", "--front-ends=2")
    assert status == 2 and "--rest_api_port" in log and "Traceback" not in log


def test_a_reload_by_any_front_end_holds_for_all_of_them_when_it_returns(tmp_path: Path) -> None:
    item = make_bundle(tmp_path, "m", 1).parent
    other = make_bundle(tmp_path, "o", 1, seed=2).parent
    with running(tmp_path, "--front-ends=2", "--model_name=m") as server, channels(server) as results:
        fronts = [Through(server, channel) for channel in results.values()]
        for asking, models in ((fronts[0], {"o": other}), (fronts[1], {"m": item, "o": other})):
            asking.call("HandleReloadConfigRequest", reload_request(**models))
            for front in fronts:
                for name in models:
                    assert front.predict(name, image=images(1))["scores"].shape == (1, 5)
                    assert front.states(name)[1][0] == AVAILABLE
        for front in fronts:
            with pytest.raises(grpc.RpcError) as caught:
                front.call("HandleReloadConfigRequest", reload_request(m=item, n=tmp_path / "n"))
            assert caught.value.code() is grpc.StatusCode.UNKNOWN
            assert "1 model(s) did not become available: {{name: n due to error: no version is there" in (
                caught.value.details() or ""
            )
            with pytest.raises(grpc.RpcError) as caught:
                front.call("HandleReloadConfigRequest", reload_request(x=Path("/etc")))
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
            assert front.predict("o", image=images(1))["scores"].shape == (1, 5)


def test_sigterm_answers_what_every_front_end_had_accepted_and_exits_with_0(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path, "--front-ends=2", "--batch_timeout_micros=700000") as server, channels(server) as results:
        everybody = descendants(server.process.pid)
        through = [Through(server, channel) for channel in results.values()]
        pending = [item.method("Predict").future(predict_request(image=images(1)), timeout=30) for item in through]
        for item in through:
            item.states()
        for pid in everybody:
            os.kill(pid, signal.SIGTERM)  # as a service manager does
        assert server.terminate() == 0
        assert [future.result().model_spec.version.value for future in pending] == [1, 1]
        assert all(wait_for_end(pid) for pid in everybody)


@pytest.mark.slow
def test_the_drain_delay_holds_for_every_front_end(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path, "--front-ends=2", "--drain-delay=60") as server, channels(server) as results:
        through = [Through(server, channel) for channel in results.values()]
        watches = [
            health_pb2_grpc.HealthStub(item.channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
            for item in through
        ]
        assert [next(watch).status for watch in watches] == [1, 1]
        server.process.send_signal(signal.SIGTERM)
        assert [next(watch).status for watch in watches] == [2, 2]
        for item in through:
            assert item.predict(image=images(1))["scores"].shape == (1, 5)
        assert server.terminate() == 0, "a second signal cuts the delay short"


def test_no_request_fails_on_any_front_end_while_versions_change(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path, "--front-ends=2") as server, channels(server) as results:
        failures: list[Any] = []
        over = threading.Event()

        def ask(through: Running) -> None:
            while not over.is_set():
                try:
                    through.predict(image=images(1))
                except grpc.RpcError as error:
                    failures.append(error)

        threads = [threading.Thread(target=ask, args=(Through(server, item),)) for item in results.values()]
        for thread in threads:
            thread.start()
        for version in (2, 3):
            make_bundle(tmp_path, "m", version, seed=version)
            server.wait_for_log(f"m/{version - 1}: unloaded")
        over.set()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert not failures


@pytest.mark.slow
def test_descriptors_and_processes_are_as_they_were_after_reloads(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path, "--front-ends=2") as server:

        def count() -> list[int]:
            pids = [server.process.pid, *of_kind(server, FRONT)]
            return [*(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids), len(children(server.process.pid))]

        counts = []
        for version in range(2, 10):
            make_bundle(tmp_path, "m", version, seed=version)
            server.wait_for_log(f"m/{version - 1}: unloaded")
            counts.append(count())
        deadline = time.monotonic() + PATIENCE_S
        while any(now > then for now, then in zip(count(), counts[0], strict=True)):  # what is closing may be counted
            assert time.monotonic() < deadline, f"they grow: {counts}"
