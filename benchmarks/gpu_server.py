"""Checks of `serve-model` on a GPU: its golden answers, its rate, and a reload while it is asked."""

import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from hop import Server
from reload import AVAILABLE, STATUS, copy, reload_to

from foldserve_contract.bundle import Bundle
from foldserve_contract.protos import GetModelStatusRequest, PredictRequest, PredictResponse
from foldserve_contract.protos.methods import PREDICTION_METHODS
from foldserve_contract.signature import Array
from foldserve_contract.tensors import decode
from foldserve_contract.tolerance import deviation
from foldserve_contract.wire.write import INPUTS, with_tensors

PREDICT = PREDICTION_METHODS["Predict"]
CALLERS = 64
PROGRAM = "import sys; from foldserve_server.cli import main; sys.exit(main())"
_TAIL = 2000


class ServerFailed(Exception):
    """The server did not start, or did not answer; the message holds what it said last."""


@dataclass(frozen=True, slots=True)
class Served:
    """Results through gRPC.

    Attributes:
        golden: The worst deviation of a golden sample, asked alone, as a share of what is promised.
        rows_a_second: With single rows, asked by many at once.
        reload_s: Seconds from a new version's arrival until it alone answers, while the same many ask.
        answered: Requests that were answered meanwhile.
        failed: Requests that were not.
        golden_after: As `golden`, by the new version.
    """

    golden: float
    rows_a_second: float
    reload_s: float
    answered: int
    failed: int
    golden_after: float


def through_server(path: Path, device: str, seconds: float) -> Served:
    """Serves the version and, after a while, its successor.

    Raises:
        ServerFailed: It did not answer.
    """
    bundle = Bundle.open(path)
    with serving(path, device) as running:
        _require_available(running, bundle)
        golden = worst(running, bundle)
        rate = asyncio.run(_ask(running, bundle, lambda: time.sleep(seconds)))
        reload = asyncio.run(_ask(running, bundle, lambda: _reload(running, bundle, path)))
        return Served(
            golden, rate.answered / rate.seconds, reload.seconds, reload.answered, reload.failed, worst(running, bundle)
        )


@contextmanager
def serving(path: Path, device: str) -> Iterator[Server]:
    """`serve-model` over the folder that holds the version's model."""
    flags = (
        "--port=0",
        "--engine=onnx",
        f"--device={device}",
        "--file_system_poll_wait_seconds=0.1",
        "--load-timeout=120",
    )
    command = (sys.executable, "-c", PROGRAM, str(path.parents[1]), *flags, "--log-level=warning")
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            words = process.stdout.readline().split()
            if len(words) < 3:
                raise ServerFailed(f"it did not start: {_said(errors)}")
            yield Server(words[2].rstrip(":"), (process.pid,))
        except grpc.RpcError as error:
            raise ServerFailed(f"{error}: {_said(errors)}") from error
        finally:
            process.terminate()


def _require_available(running: Server, bundle: Bundle) -> None:
    """A server goes on without a version that its gate refused; the reason stands in the version's status."""
    status = GetModelStatusRequest()
    status.model_spec.name = bundle.manifest.model
    with grpc.insecure_channel(running.address) as channel:
        call = channel.unary_unary(STATUS.path, STATUS.request.SerializeToString, STATUS.response.FromString)
        (version,) = call(status).model_version_status
    if version.state != AVAILABLE:
        raise ServerFailed(f"version {version.version} does not serve: {version.status.error_message}")


def worst(running: Server, bundle: Bundle) -> float:
    """The worst deviation of a golden sample, asked alone, as a share of what is promised."""
    golden, results = bundle.golden(), 0.0
    with grpc.insecure_channel(running.address) as channel:
        call = channel.unary_unary(PREDICT.path, None, PredictResponse.FromString)
        for row in range(golden.rows):
            inputs = {name: array[row : row + 1] for name, array in golden.inputs.items()}
            for name, proto in call(_request(bundle, inputs)).outputs.items():
                apart = deviation(decode(proto), golden.outputs[name][row : row + 1])
                results = max(results, apart / bundle.manifest.tolerances[name].promised)
    return results


@dataclass(frozen=True, slots=True)
class _Asked:
    answered: int
    failed: int
    seconds: float


async def _ask(running: Server, bundle: Bundle, meanwhile: Any) -> _Asked:
    """Many ask for single rows, each again when it is answered, for as long as something else takes."""
    content = _request(bundle, {name: array[:1] for name, array in bundle.golden().inputs.items()})
    answered = failed = 0

    async def caller(call: Any, until: "asyncio.Future[None]") -> None:
        nonlocal answered, failed
        while not until.done():
            try:
                await call(content)
                answered += 1
            except grpc.aio.AioRpcError:
                failed += 1

    async with grpc.aio.insecure_channel(running.address) as channel:
        call = channel.unary_unary(PREDICT.path, None, None)
        begin = time.perf_counter()
        until = asyncio.ensure_future(asyncio.to_thread(meanwhile))
        await asyncio.gather(*(caller(call, until) for _ in range(CALLERS)))
        await until
        return _Asked(answered, failed, time.perf_counter() - begin)


def _reload(running: Server, bundle: Bundle, path: Path) -> None:
    manifest = bundle.manifest
    try:
        reload_to(running, manifest.model, manifest.version + 1, lambda: _arrive(path))
    except SystemExit as error:  # in a thread, where it would end nothing and be told twice
        raise ServerFailed(str(error)) from error


def _arrive(path: Path) -> None:
    """The next version, whole at once."""
    with tempfile.TemporaryDirectory(dir=path.parents[2]) as store:
        made = copy(Path(shutil.copytree(path, Path(store, "m", path.name))), int(path.name) + 1)
        made.rename(path.with_name(made.name))


def _request(bundle: Bundle, inputs: dict[str, Array]) -> bytes:
    message = PredictRequest()
    message.model_spec.name = bundle.manifest.model
    return with_tensors(message, INPUTS, inputs)


def _said(errors: Any) -> str:
    errors.seek(0)
    return str(errors.read())[-_TAIL:].strip() or "it said nothing"
