"""A server whose stdout or stderr leads nowhere."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from foldserve_contract.protos.methods import PREDICTION_METHODS
from tests.bundles import dense_model, make_bundle, random_rows, signature_of
from tests.server.running import COMMAND, PATIENCE_S, predict_request


@contextlib.contextmanager
def served(models: Path, redirections: str, *flags: str) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """A server that a shell starts so, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [*COMMAND, str(models), f"--port={port}", "--rest_api_port=0", *flags]
    process = subprocess.Popen(["sh", "-c", f'exec "$@" {redirections}', "sh", *words])
    try:
        yield process, f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def answers(address: str) -> bool:
    model = dense_model()
    (spec,) = signature_of(model).inputs
    method = PREDICTION_METHODS["Predict"]
    with grpc.insecure_channel(address) as channel:
        ask = channel.unary_unary(method.path, method.request.SerializeToString, method.response.FromString)
        request = predict_request("m", **{spec.name: random_rows(spec, 1, np.random.default_rng(0))})
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with contextlib.suppress(grpc.RpcError):
                return bool(ask(request, timeout=PATIENCE_S, wait_for_ready=True).outputs)
    return False


@pytest.mark.parametrize("front_ends", [1, 2])
@pytest.mark.parametrize("redirections", [">/dev/full", "<&- >&- 2>&-"])
def test_a_server_that_nobody_listens_to_serves_and_ends_with_0(
    tmp_path: Path, redirections: str, front_ends: int
) -> None:
    make_bundle(tmp_path, "m", 1, model=dense_model())
    with served(tmp_path, redirections, f"--front-ends={front_ends}") as (process, address):
        assert answers(address)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
