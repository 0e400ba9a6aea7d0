"""A real `serve-model` in a process of its own."""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from foldserve_contract.protos import GetModelStatusRequest, PredictRequest
from foldserve_contract.protos.methods import MODEL_METHODS, PREDICTION_METHODS
from foldserve_contract.signature import Array
from foldserve_contract.tensors import decode, encode

METHODS = {**PREDICTION_METHODS, **MODEL_METHODS}
COMMAND = (sys.executable, "-c", "import sys; from foldserve_server.cli import main; sys.exit(main())")
PATIENCE_S = 60


class Running:
    """The process, what it printed, and a channel to it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: queue.Queue[str] = queue.Queue()
        self.log: list[str] = []
        self._logged = threading.Condition()
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._read_out, self._read_log)]
        for thread in self._threads:
            thread.start()
        self.ready = self.lines.get(timeout=PATIENCE_S)
        if not self.ready:
            raise AssertionError("it ended before it was ready: " + "".join(self.log))
        self.address = self.ready.split()[2].rstrip(":")
        self.channel = grpc.insecure_channel(self.address)

    @cached_property
    def http(self) -> str:
        """Address of REST, as the line after the first says: `http://HOST:PORT`."""
        return self.lines.get(timeout=PATIENCE_S).split()[-1].rstrip("/")

    def call(self, method: str, request: Any, **how: Any) -> Any:
        return self.method(method)(request, timeout=how.pop("timeout", 30), **how)

    def method(self, name: str) -> Any:
        expected = METHODS[name]
        return self.channel.unary_unary(
            expected.path,
            request_serializer=expected.request.SerializeToString,
            response_deserializer=expected.response.FromString,
        )

    def predict(self, name: str = "m", **inputs: Array) -> dict[str, Array]:
        response = self.call("Predict", predict_request(name, **inputs))
        return {key: decode(proto) for key, proto in response.outputs.items()}

    def states(self, name: str = "m") -> dict[int, tuple[int, str]]:
        request = GetModelStatusRequest()
        request.model_spec.name = name
        results = self.call("GetModelStatus", request).model_version_status
        return {status.version: (status.state, status.status.error_message) for status in results}

    def wait_for_log(self, words: str) -> str:
        """The first line of the log with these words, once it is there."""
        with self._logged:
            results = self._logged.wait_for(lambda: [line for line in self.log if words in line], PATIENCE_S)
        assert results, f"the log never said {words!r}: {''.join(self.log)}"
        return str(results[0])

    def engines(self) -> list[int]:
        """The engine processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(child) for child in children]

    def terminate(self) -> int:
        """SIGTERM; gives the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        self.channel.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def _read_out(self) -> None:
        for line in self.process.stdout or ():
            self.lines.put(line.strip())
        self.lines.put("")

    def _read_log(self) -> None:
        for line in self.process.stderr or ():
            with self._logged:
                self.log.append(line)
                self._logged.notify_all()


@contextmanager
def running(models: Path, *flags: str) -> Iterator[Running]:
    """A server over these models that has said that it is ready."""
    server = Running(spawn(str(models), "--port=0", "--file_system_poll_wait_seconds=0.05", *flags))
    try:
        yield server
    finally:
        server.close()


def spawn(*words: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*COMMAND, *words], text=True, env=environment, **pipes)


def failing(*words: str) -> tuple[int, str]:
    """The exit status and the last words of a server that does not start."""
    process = spawn(*words)
    _, log = process.communicate(timeout=PATIENCE_S)
    return process.returncode, log


def predict_request(name: str = "m", **inputs: Array) -> Any:
    request = PredictRequest()
    request.model_spec.name = name
    for key, array in inputs.items():
        request.inputs[key].CopyFrom(encode(array))
    return request


def trailing(error: Any) -> dict[str, str]:
    """The trailing metadata of a failed call."""
    return {key: str(value) for key, value in error.trailing_metadata() or ()}


def images(rows: int, seed: int = 0) -> Array:
    """Inputs of `tests.bundles.conv_model`."""
    return np.random.default_rng(seed).normal(size=(rows, 8, 8, 3)).astype(np.float32)
