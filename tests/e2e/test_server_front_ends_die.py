"""A real server with several front ends: what a death of anybody costs, and whom."""

import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import requests

from foldserve_contract.signature import Array
from foldserve_contract.tensors import decode
from tests.bundles import make_bundle
from tests.server.frontends.asking import answered, first_listener, health, metric, reload_request
from tests.server.frontends.processes import (
    ENGINE,
    FRONT,
    Through,
    ask_all,
    channels,
    children,
    command,
    descendants,
    of_kind,
    wait_for_end,
)
from tests.server.running import PATIENCE_S, Running, images, predict_request, running, spawn

AVAILABLE, END = 30, 50


class Load(threading.Thread):
    """Asks one front end again and again for rows of its own."""

    def __init__(self, channel: grpc.Channel, seed: int) -> None:
        super().__init__(daemon=True)
        self.request = predict_request(image=images(1 + seed % 3, seed))
        self.right: Array | None = None
        self.method = Through.method(type("", (), {"channel": channel})(), "Predict")
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
    with running(tmp_path, "--front-ends=2", "--rest_api_port=-1") as server, channels(server) as results:
        server.http  # noqa: B018  while the line is the next one
        loads = {pid: Load(channel, pid) for pid, channel in results.items()}
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
        heard = sum(load.answers - len(load.errors) for load in loads.values())
        assert 0 <= total - heard <= 1, "but for an answer that was on its way when its front end died"
        states = ask_all(server, Running.states)
        assert states[0] == states[1] and states[0][1][0] == AVAILABLE
        assert ask_all(server, health) == [1, 1]
        assert answered(server) == total
        assert metric(server, "foldserve_queue_rows{") == 0, "what the dead one had in hand is still counted"


@pytest.mark.slow
def test_the_first_front_end_comes_back_with_rest_where_it_was_and_counts_on(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path, "--front-ends=2", "--rest_api_port=-1") as server:
        ask_all(server, lambda item: item.predict(image=images(1)))
        assert answered(server) == 2
        os.kill(first_listener(server), signal.SIGKILL)
        server.wait_for_log("front end 3 listens")
        assert answered(server) == 2
        ask_all(server, lambda item: item.predict(image=images(1)))
        assert answered(server) == 4


@pytest.mark.slow
def test_a_restarted_front_end_answers_by_the_current_table(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path, "--front-ends=2") as server:
        os.kill(of_kind(server, FRONT)[0], signal.SIGKILL)
        make_bundle(tmp_path, "m", 2, seed=2)
        server.wait_for_log("m/1: unloaded")
        server.wait_for_log("front end 3 listens")
        output = ask_all(server, Running.states)
        assert [{version: state for version, (state, _) in item.items()} for item in output] == [
            {1: END, 2: AVAILABLE}
        ] * 2


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
    flags = ("--front-ends=2", "--front-end-timeout=3", "--model_name=m")
    with running(tmp_path, *flags) as server, channels(server) as results:
        stopped = next(iter(results))
        (healthy,) = (Through(server, item) for pid, item in results.items() if pid != stopped)
        os.kill(stopped, signal.SIGSTOP)
        healthy.call("HandleReloadConfigRequest", reload_request(o=tmp_path / "o"))
        server.wait_for_log("did not answer its supervisor within 3 s, and is ended")
        assert wait_for_end(stopped)
        assert healthy.predict("o", image=images(1))["scores"].shape == (1, 5)
        server.wait_for_log("front end 3 listens")
        assert [item[1][0] for item in ask_all(server, lambda through: through.states("o"))] == [AVAILABLE] * 2


@pytest.mark.slow
def test_a_front_end_that_hangs_is_ended_and_the_callers_of_the_others_notice_nothing(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path, "--front-ends=2", "--front-end-timeout=3", "--rest_api_port=-1") as server:
        server.http  # noqa: B018  while the line is the next one
        with channels(server) as results:
            loads = {pid: Load(channel, pid) for pid, channel in results.items()}
            for load in loads.values():
                load.start()
                load.more()
            hanging = max(loads, key=lambda pid: first_listener(server) != pid)
            (staying,) = loads.keys() - {hanging}
            os.kill(hanging, signal.SIGSTOP)
            server.wait_for_log("did not answer its supervisor within 3 s, and is ended")
            assert wait_for_end(hanging)
            loads[staying].more()
            for load in loads.values():
                load.close()
            assert not loads[staying].errors, "callers of the other front end lost something"
            server.wait_for_log("front end 3 listens")
            assert metric(server, "foldserve_queue_rows{") == 0, "what the hanging one had asked is still counted"
        assert ask_all(server, health) == [1, 1]


@pytest.mark.slow
def test_nobody_is_ended_because_the_whole_server_was_stopped_for_a_while(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path, "--front-ends=2", "--front-end-timeout=3", "--rest_api_port=-1") as server:
        everybody = [server.process.pid, *descendants(server.process.pid)]
        for pid in everybody:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(6)
        for pid in everybody:
            os.kill(pid, signal.SIGCONT)
        assert ask_all(server, health) == [1, 1]
        server.predict(image=images(1))
        assert [server.process.pid, *descendants(server.process.pid)] == everybody
        assert "is ended" not in "".join(server.log)


def test_sigterm_ends_a_server_whose_front_ends_do_not_come_up(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    process = spawn(str(tmp_path), "--port=0", "--front-ends=2")
    try:
        while not (fronts := [pid for pid in children(process.pid) if FRONT in command(pid)]):
            time.sleep(0.01)
        os.kill(fronts[0], signal.SIGSTOP)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=PATIENCE_S / 2)
    finally:
        process.kill()
    assert process.returncode == 0 and "stopping before anybody was answered" in log
    assert wait_for_end(fronts[0])


def test_an_engine_that_dies_is_asked_again_by_every_front_end(tmp_path: Path) -> None:
    make_bundle(tmp_path, "m", 1)
    with running(tmp_path, "--front-ends=2", "--batch_timeout_micros=60000000") as server, channels(server) as results:
        (engine,) = of_kind(server, ENGINE)
        method = [Through(server, channel).method("Predict") for channel in results.values()]
        # an unfilled batch waits a minute: these lie in the queue when the engine dies, and in that of the next one
        pending = [item.future(predict_request(image=images(1)), timeout=30) for item in method]
        for channel in results.values():
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
