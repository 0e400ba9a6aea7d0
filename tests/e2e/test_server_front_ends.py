"""A real server with several front ends: who answers, by which table, and what a death of anybody costs."""

import os
import shutil
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

from foldserve_contract.protos import GetModelMetadataRequest
from foldserve_contract.protos.methods import MODEL_METHODS
from foldserve_contract.protos.open_inference import INFERENCE_METHODS
from foldserve_contract.signature import Array
from foldserve_contract.tensors import decode
from tests.bundles import dense_model, make_bundle
from tests.server.fronts.processes import (
    ENGINE,
    FRONT,
    Through,
    channels,
    children,
    descendants,
    each,
    is_listening,
    libraries,
    of_kind,
    wait_for_end,
)
from tests.server.running import PATIENCE_S, Running, failing, images, predict_request, running

AVAILABLE, END = 30, 50
METRICS = "/monitoring/prometheus/metrics"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of two front ends that nobody kills."""
    models = tmp_path_factory.mktemp("models")
    make_bundle(models, "m", 1)
    make_bundle(models, "m", 2, seed=2)
    make_bundle(models, "d", 1, model=dense_model())
    with running(models, "--front-ends=2", "--rest_api_port=-1") as server:
        yield server


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
    return sum(float(one.rpartition(" ")[2]) for one in content.splitlines() if one.startswith(line))


def answered(server: Running, name: str = "m") -> float:
    return metric(server, f':tensorflow:serving:request_count{{model_name="{name}",status="OK"}}')


def reload_request(**paths: Path) -> Any:
    request = MODEL_METHODS["HandleReloadConfigRequest"].request()
    for name, path in paths.items():
        model = request.config.model_config_list.config.add(name=name, base_path=str(path))
        model.model_platform = "tensorflow"
    return request


def test_every_front_end_answers_alike(server: Running) -> None:
    for ask in (Running.states, metadata, index, health, lambda one: health(one, "m")):
        first, second = each(server, ask)
        assert first == second
    one, two = each(server, lambda through: through.predict(image=images(3))["scores"])
    np.testing.assert_array_equal(one, two)
    assert each(server, Running.states)[0].keys() == {2}


def test_counts_of_all_front_ends_are_added_up(server: Running) -> None:
    before, rows = answered(server, "d"), statistics(server, "d")
    for _ in range(3):
        each(server, lambda one: one.predict("d", features=np.zeros((2, 4), np.float32)))
    assert answered(server, "d") == before + 6
    assert each(server, lambda one: statistics(one, "d")) == [rows + 12, rows + 12]
    assert metric(server, 'foldserve_queue_rows{model_name="d"') == 0
    page = requests.get(f"{server.http}/page/state", timeout=30).json()
    (model,) = (one for one in page["models"] if one["name"] == "d")
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
    one = make_bundle(tmp_path, "m", 1).parent
    other = make_bundle(tmp_path, "o", 1, seed=2).parent
    with running(tmp_path, "--front-ends=2", "--model_name=m") as server, channels(server) as found:
        fronts = [Through(server, channel) for channel in found.values()]
        for asking, models in ((fronts[0], {"o": other}), (fronts[1], {"m": one, "o": other})):
            asking.call("HandleReloadConfigRequest", reload_request(**models))
            for front in fronts:
                for name in models:
                    assert front.predict(name, image=images(1))["scores"].shape == (1, 5)
                    assert front.states(name)[1][0] == AVAILABLE
        for front in fronts:
            with pytest.raises(grpc.RpcError) as caught:
                front.call("HandleReloadConfigRequest", reload_request(m=one, n=tmp_path / "n"))
            assert caught.value.code() is grpc.StatusCode.UNKNOWN
            assert "1 model(s) did not become available: {{name: n due to error: version any" in caught.value.details()
            with pytest.raises(grpc.RpcError) as caught:
                front.call("HandleReloadConfigRequest", reload_request(x=Path("/etc")))
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
            assert front.predict("o", image=images(1))["scores"].shape == (1, 5)


class Load(threading.Thread):
    """Asks one front end again and again for rows of its own."""

    def __init__(self, channel: grpc.Channel, seed: int) -> None:
        super().__init__(daemon=True)
        self.request = predict_request(image=images(1 + seed % 3, seed))
        self.right: Array | None = None
        self.method = Through.method(type("", (), {"channel": channel})(), "Predict")  # type: ignore[arg-type]
        self.answers = 0
        self.errors: list[Any] = []
        self.over = threading.Event()
        self.progress = threading.Condition()

    def run(self) -> None:
        while not self.over.is_set():
            try:
                self.check(decode(self.method(self.request, timeout=30).outputs["scores"]))
            except (grpc.RpcError, AssertionError) as error:
                self.errors.append(error)
            with self.progress:
                self.answers += 1
                self.progress.notify_all()

    def check(self, scores: Array) -> None:
        self.right = scores if self.right is None else self.right
        np.testing.assert_allclose(scores, self.right, atol=1e-5, err_msg="these are another caller's rows")

    def more(self, count: int = 20) -> None:
        """Returns when so many more were answered."""
        with self.progress:
            end = self.answers + count
            assert self.progress.wait_for(lambda: self.answers >= end, PATIENCE_S)

    def close(self) -> None:
        self.over.set()
        self.join(PATIENCE_S)


def test_a_front_end_that_dies_costs_the_callers_of_the_others_nothing_and_is_started_again(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path, "--front-ends=2", "--rest_api_port=-1") as server, channels(server) as found:
        server.http  # noqa: B018  while the line is the next one
        loads = {pid: Load(channel, pid) for pid, channel in found.items()}
        for load in loads.values():
            load.start()
            load.more()
        # the first one has REST, which is to be asked below
        dying = max(loads, key=lambda pid: first_listener(server) != pid)
        (staying,) = loads.keys() - {dying}
        before = answered(server)
        os.kill(dying, signal.SIGKILL)
        server.wait_for_log("was ended by SIGKILL")
        loads[staying].more(50)
        for load in loads.values():
            load.close()
        assert not loads[staying].errors, "callers of the other front end lost something"
        assert answered(server) >= before + 50, "what the dead one had counted is lost"
        server.wait_for_log("front end 3 listens")
        assert dying not in of_kind(server, FRONT) and len(of_kind(server, FRONT)) == 2
        total = answered(server)
        assert total == sum(load.answers - len(load.errors) for load in loads.values())
        states = each(server, Running.states)
        assert states[0] == states[1] and states[0][1][0] == AVAILABLE
        assert each(server, health) == [1, 1]
        assert answered(server) == total
        assert metric(server, "foldserve_queue_rows{") == 0, "what the dead one had in hand is still counted"


def first_listener(server: Running) -> int:
    """The front end that has REST."""
    port = int(server.http.rpartition(":")[2])
    return next(pid for pid in of_kind(server, FRONT) if is_listening(pid, port))


@pytest.mark.slow
def test_the_first_front_end_comes_back_with_rest_where_it_was_and_counts_on(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path, "--front-ends=2", "--rest_api_port=-1") as server:
        each(server, lambda one: one.predict(image=images(1)))
        assert answered(server) == 2
        os.kill(first_listener(server), signal.SIGKILL)
        server.wait_for_log("front end 3 listens")
        assert answered(server) == 2
        each(server, lambda one: one.predict(image=images(1)))
        assert answered(server) == 4


@pytest.mark.slow
def test_a_restarted_front_end_answers_by_the_current_table(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path, "--front-ends=2") as server:
        os.kill(of_kind(server, FRONT)[0], signal.SIGKILL)
        make_bundle(tmp_path, "m", 2, seed=2)
        server.wait_for_log("m/1: unloaded")
        server.wait_for_log("front end 3 listens")
        told = each(server, Running.states)
        assert [{version: state for version, (state, _) in one.items()} for one in told] == [{1: END, 2: AVAILABLE}] * 2


def test_front_ends_that_end_again_and_again_end_the_server_with_the_reason(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path, "--front-ends=2") as server:
        everybody = descendants(server.process.pid)
        for crash in range(5):
            os.kill(of_kind(server, FRONT)[-1], signal.SIGKILL)
            server.wait_for_log(f"front end {crash + 2} was ended by SIGKILL")
            while crash < 4 and len(of_kind(server, FRONT)) < 2:
                time.sleep(0.01)
        assert server.process.wait(PATIENCE_S) == 1
        assert "front ends ended 5 times within 60 s" in server.wait_for_log("serve-model: ")
        assert all(wait_for_end(pid) for pid in everybody)


def test_a_front_end_that_adopts_no_change_is_ended_and_blocks_nobody(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    other = make_bundle(tmp_path / "aside", "o", 1).parent
    shutil.move(other, tmp_path / "o")
    flags = ("--front-ends=2", "--front-end-timeout=1", "--model_name=m")
    with running(tmp_path, *flags) as server, channels(server) as found:
        stopped = next(iter(found))
        (healthy,) = (Through(server, one) for pid, one in found.items() if pid != stopped)
        os.kill(stopped, signal.SIGSTOP)
        healthy.call("HandleReloadConfigRequest", reload_request(o=tmp_path / "o"))
        server.wait_for_log("did not adopt a change within 1 s, and is ended")
        assert wait_for_end(stopped)
        assert healthy.predict("o", image=images(1))["scores"].shape == (1, 5)
        server.wait_for_log("front end 3 listens")
        assert [one[1][0] for one in each(server, lambda through: through.states("o"))] == [AVAILABLE] * 2


def test_an_engine_that_dies_is_asked_again_by_every_front_end(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path, "--front-ends=2", "--batch_timeout_micros=60000000") as server, channels(server) as found:
        (engine,) = of_kind(server, ENGINE)
        method = [Through(server, channel).method("Predict") for channel in found.values()]
        # an unfilled batch waits a minute: these lie in the queue when the engine dies, and in that of the next one
        pending = [one.future(predict_request(image=images(1)), timeout=30) for one in method]
        for channel in found.values():
            Through(server, channel).states()
        os.kill(engine, signal.SIGKILL)
        server.wait_for_log("AVAILABLE: restarted after a crash")
        full = method[0].future(predict_request(image=images(30)), timeout=30)
        answers = [future.result() for future in (*pending, full)]
        assert [answer.model_spec.version.value for answer in answers] == [1, 1, 1]
        assert of_kind(server, ENGINE) != [engine]


def test_nothing_is_left_of_a_server_whose_supervisor_is_killed(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    flags = ("--front-ends=2", "--rest_api_port=-1", "--enable_large_batch_splitting")
    with running(tmp_path, *flags) as server:
        rows = images(8).repeat(8, axis=0).tolist()
        assert requests.post(f"{server.http}/v1/models/m:predict", json={"instances": rows}, timeout=60).ok
        everybody = descendants(server.process.pid)
        assert len(everybody) >= 4, "front ends, an engine, and what reads large JSON"
        os.kill(of_kind(server, FRONT)[1], signal.SIGSTOP)
        server.process.kill()
        assert all(wait_for_end(pid) for pid in everybody)


def test_sigterm_answers_what_every_front_end_had_accepted_and_exits_with_0(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path, "--front-ends=2", "--batch_timeout_micros=700000") as server, channels(server) as found:
        everybody = descendants(server.process.pid)
        through = [Through(server, channel) for channel in found.values()]
        pending = [one.method("Predict").future(predict_request(image=images(1)), timeout=30) for one in through]
        for one in through:
            one.states()
        for pid in everybody:
            os.kill(pid, signal.SIGTERM)  # as a service manager does
        assert server.terminate() == 0
        assert [future.result().model_spec.version.value for future in pending] == [1, 1]
        assert all(wait_for_end(pid) for pid in everybody)


@pytest.mark.slow
def test_the_drain_delay_holds_for_every_front_end(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path, "--front-ends=2", "--drain-delay=60") as server, channels(server) as found:
        through = [Through(server, channel) for channel in found.values()]
        watches = [
            health_pb2_grpc.HealthStub(one.channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
            for one in through
        ]
        assert [next(watch).status for watch in watches] == [1, 1]
        server.process.send_signal(signal.SIGTERM)
        assert [next(watch).status for watch in watches] == [2, 2]
        for one in through:
            assert one.predict(image=images(1))["scores"].shape == (1, 5)
        assert server.terminate() == 0, "a second signal cuts the delay short"


def test_no_request_fails_on_any_front_end_while_versions_change(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path, "--front-ends=2") as server, channels(server) as found:
        failures: list[Any] = []
        over = threading.Event()

        def ask(through: Running) -> None:
            while not over.is_set():
                try:
                    through.predict(image=images(1))
                except grpc.RpcError as error:
                    failures.append(error)

        threads = [threading.Thread(target=ask, args=(Through(server, one),)) for one in found.values()]
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
        for version in range(2, 6):
            make_bundle(tmp_path, "m", version, seed=version)
            server.wait_for_log(f"m/{version - 1}: unloaded")
            counts.append(count())
        deadline = time.monotonic() + PATIENCE_S
        while counts[0] != counts[-1] and time.monotonic() < deadline:
            counts.append(count())
        assert counts[0] == counts[-1]


@pytest.mark.slow
def test_a_file_that_cannot_be_used_keeps_a_front_end_out_and_not_the_others(tmp_path: Path) -> None:
    models, tokens = tmp_path / "models", tmp_path / "tokens.toml"
    make_bundle(models, "m", 1)
    content = f'[[token]]\nname = "a"\nsha256 = "{"00" * 32}"\nmodels = ["*"]\n'
    tokens.write_text(content)
    with running(models, "--front-ends=2", f"--tokens-file={tokens}") as server:
        tokens.write_text("nonsense")
        os.kill(of_kind(server, FRONT)[1], signal.SIGKILL)
        server.wait_for_log(f"ERROR   --tokens-file: {tokens} cannot be read")
        assert health(server) == 1
        tokens.write_text(content)
        server.wait_for_log("front end 4 listens")
