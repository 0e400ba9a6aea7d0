"""What must hold on a machine with a GPU: the golden answers, in float32 and with TF32, throughput, and a reload.

`python benchmarks/gpu.py` needs one GPU and an environment with foldserve[server-gpu]; without them it says what is
missing and ends with status 2. `--bundle MODELS_DIR/NAME/VERSION` takes an exported model in place of the tiny one. It
prints what it found as JSON, and ends with status 1 where something that must hold does not.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
from hop import Server, publish, server
from reload import copy, reload_to

from foldserve_contract.bundle import ONNX, Bundle
from foldserve_contract.protos import PredictRequest, PredictResponse
from foldserve_contract.protos.methods import PREDICTION_METHODS
from foldserve_contract.signature import Array
from foldserve_contract.tensors import decode
from foldserve_contract.tolerance import deviation
from foldserve_contract.wire.write import INPUTS, with_tensors
from foldserve_engine.device import Device
from foldserve_engine.errors import EngineError
from foldserve_engine.golden import check_golden
from foldserve_engine.onnx_engine import OnnxEngine
from foldserve_engine.protocol import EngineOptions

PREDICT = PREDICTION_METHODS["Predict"]
SIDE, CALLERS = 224, 64
MISSING, FAILED = 2, 1


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured; deviations are shares of the promised tolerance, throughput is in rows a second.

    Attributes:
        float32: The worst deviation of a golden sample with TF32 off, as the server runs.
        tf32: The same with TF32 on: why it is off.
        served: The worst deviation of a golden sample through `serve-model`.
        bare: Rows a second of the engine in this process, in full batches.
        through_server: Rows a second through gRPC, front end and engine process.
        reload_s: Seconds from a new version's arrival until it alone answers.
        served_after: As `served`, by the new version.
    """

    device: str
    float32: float
    tf32: float
    served: float
    bare: float
    through_server: float
    reload_s: float
    served_after: float

    @property
    def holds(self) -> bool:
        """Whether everything that was promised came true."""
        return max(self.float32, self.served, self.served_after) <= 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="a version directory; default: a tiny CNN")
    parser.add_argument("--device", default="cuda:0", help="default cuda:0")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measurement (default 5)")
    said = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(first_version(Path(folder), said.bundle), said.device, said.seconds)
    except EngineError as error:
        print(f"gpu.py: {error}", file=sys.stderr)
        return MISSING
    print(json.dumps(asdict(found), indent=2))
    return 0 if found.holds else FAILED


def first_version(root: Path, bundle: Path | None) -> Path:
    if bundle is None:
        return publish(root, SIDE)
    return Path(shutil.copytree(bundle, root / bundle.parent.name / bundle.name))


def measure(path: Path, device: str, seconds: float) -> Found:
    bundle = Bundle.open(path)
    float32, bare = in_this_process(bundle, device, seconds, tf32=False)
    tf32, _ = in_this_process(bundle, device, seconds, tf32=True)
    with serving(path, device) as running:
        served = through(running, bundle)
        rate = rows_a_second(running, bundle, seconds)
        begin = time.monotonic()
        reload_to(running, bundle.manifest.model, bundle.manifest.version + 1, lambda: arrive(path))
        reload_s = time.monotonic() - begin
        after = through(running, bundle)
    return Found(device, float32, tf32, served, bare, rate, reload_s, after)


def in_this_process(bundle: Bundle, device: str, seconds: float, *, tf32: bool) -> tuple[float, float]:
    """The worst golden deviation as a share of what is promised, and rows a second.

    Raises:
        EngineError: The device is not there.
    """
    options = EngineOptions(device=Device.parse(device), tf32=tf32)
    engine = OnnxEngine.from_bytes(bundle.read(ONNX), bundle.manifest.signature, options)
    golden, largest = bundle.golden(), bundle.manifest.max_batch_size
    bounds = {name: one.promised for name, one in bundle.manifest.tolerances.items()}
    verdict = check_golden(engine, golden, bounds, largest)
    worst = max(one.deviation / one.bound for one in verdict.outputs)
    rows = min(golden.rows, largest)
    batch = {name: array[:rows] for name, array in golden.inputs.items()}
    batches, begin = 0, time.perf_counter()
    while time.perf_counter() < begin + seconds:
        engine.run(batch)
        batches += 1
    return worst, rows * batches / (time.perf_counter() - begin)


@contextmanager
def serving(path: Path, device: str) -> Any:
    program = "import sys; from foldserve_server.cli import main; sys.exit(main())"
    flags = (
        "--port=0",
        "--engine=onnx",
        f"--device={device}",
        "--file_system_poll_wait_seconds=0.1",
        "--log-level=warning",
    )
    with server(sys.executable, "-c", program, str(path.parents[1]), *flags) as running:
        yield running


def arrive(path: Path) -> None:
    """The next version, whole at once."""
    with tempfile.TemporaryDirectory(dir=path.parents[2]) as store:
        made = copy(Path(shutil.copytree(path, Path(store, "m", path.name))), int(path.name) + 1)
        made.rename(path.with_name(made.name))


def request(bundle: Bundle, inputs: dict[str, Array]) -> bytes:
    message = PredictRequest()
    message.model_spec.name = bundle.manifest.model
    return with_tensors(message, INPUTS, inputs)


def through(running: Server, bundle: Bundle) -> float:
    """The worst deviation of a golden sample, asked alone, as a share of what is promised."""
    golden, worst = bundle.golden(), 0.0
    with grpc.insecure_channel(running.address) as channel:
        call = channel.unary_unary(PREDICT.path, None, PredictResponse.FromString)
        for row in range(golden.rows):
            inputs = {name: array[row : row + 1] for name, array in golden.inputs.items()}
            for name, proto in call(request(bundle, inputs)).outputs.items():
                apart = deviation(decode(proto), golden.outputs[name][row : row + 1])
                worst = max(worst, apart / bundle.manifest.tolerances[name].promised)
    return worst


def rows_a_second(running: Server, bundle: Bundle, seconds: float) -> float:
    """Single rows, asked by many at once."""
    content = request(bundle, {name: array[:1] for name, array in bundle.golden().inputs.items()})

    async def ask() -> float:
        answers, end = 0, time.perf_counter() + seconds

        async def caller(call: Any) -> None:
            nonlocal answers
            while time.perf_counter() < end:
                await call(content)
                answers += 1

        async with grpc.aio.insecure_channel(running.address) as channel:
            call = channel.unary_unary(PREDICT.path)
            begin = time.perf_counter()
            await asyncio.gather(*(caller(call) for _ in range(CALLERS)))
            return answers / (time.perf_counter() - begin)

    return asyncio.run(ask())


if __name__ == "__main__":
    sys.exit(main())
