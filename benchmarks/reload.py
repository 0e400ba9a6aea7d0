"""Effect of a reload on the latency of requests and on the server's memory.

`python benchmarks/reload.py latency` asks at half of the capacity that it measures first, and compares the time to an
answer while new versions are loaded and swapped in with the time in between, in one run. `--engine tensorflow` does the
same with the SavedModel. `python benchmarks/reload.py memory --svg docs/reload.svg` reloads 200 times in a row and
draws the front end's memory.
"""

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import grpc
import grpc.aio
from curve import Line, draw_curve
from hop import PREDICT, SIDES, Server, load, server
from tiny import draw, publish

from foldserve_contract.bundle import MANIFEST
from foldserve_contract.manifest import Manifest
from foldserve_contract.protos import GetModelStatusRequest, PredictRequest
from foldserve_contract.protos.methods import MODEL_METHODS
from foldserve_contract.tensors import encode

Span = tuple[float, float]
SIDE = SIDES[0]
QUIET_S = 2.0
AVAILABLE, END = 30, 50
PATIENCE_S = 180
CAPACITY_CALLERS, CAPACITY_S = 32, 4.0
STATUS = MODEL_METHODS["GetModelStatus"]
SAVE = """
import sys
import numpy as np
import onnx
import tensorflow as tf
from onnx import numpy_helper
from pathlib import Path

path = Path(sys.argv[1])
model = onnx.load(path / "model.onnx")
weights = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
module = tf.Module()
module.filters, module.kernel = tf.Variable(weights["filters"].transpose(2, 3, 1, 0)), tf.Variable(weights["kernel"])

@tf.function(input_signature=[tf.TensorSpec([None, *map(int, sys.argv[2:])], tf.float32, name="image")])
def serve(image):
    means = tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(image, module.filters, 2, "VALID")), axis=[1, 2])
    return {"scores": tf.nn.softmax(tf.linalg.matmul(means, module.kernel))}

tf.saved_model.save(module, str(path), signatures={"serving_default": serve})
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: when it was due on CLOCK_MONOTONIC, seconds from then to its end, and whether it was answered."""

    at: float
    took: float
    answered: bool


@dataclass(frozen=True, slots=True)
class Latency:
    """The figures of one run, times in milliseconds: between reloads, and during one, each a median over them."""

    engine: str
    capacity: float
    sent: float
    reloads: int
    reload_s: float
    quiet_p50: float
    quiet_p99: float
    during_p50: float
    during_p99: float
    refused: int


@dataclass(frozen=True, slots=True)
class Memory:
    """The front end after so many reloads."""

    reloads: int
    resident_mb: float
    descriptors: int
    processes: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("latency", "memory"))
    parser.add_argument("--engine", choices=("onnx", "tensorflow"), default="onnx")
    parser.add_argument("--reloads", type=int, help="default: 5 for latency, 200 for memory")
    parser.add_argument("--svg", type=Path, help="where to draw the memory")
    parser.add_argument("--ask", nargs=2, metavar=("ADDRESS", "RATE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask:
        address, rate = options.ask
        print(json.dumps([asdict(item) for item in asyncio.run(ask(address, float(rate)))]))
    elif options.what == "latency":
        print(json.dumps(asdict(latency(options.engine, options.reloads or 5)), indent=2))
    else:
        results = memory(options.engine, options.reloads or 200)
        print(json.dumps([asdict(item) for item in (results[0], results[len(results) // 10], results[-1])], indent=2))
        if options.svg:
            options.svg.write_text(picture(results))


def latency(engine: str, reloads: int) -> Latency:
    with serving(engine, reloads + 1) as (running, next_version):
        capacity = measured_capacity(running)
        asking = asking_at(running, capacity / 2)
        time.sleep(1)
        quiet: list[Span] = []
        busy: list[Span] = []
        for number in range(reloads):
            start = time.monotonic()
            time.sleep(QUIET_S)
            begin = time.monotonic()
            reload(running, next_version, number + 2)
            quiet.append((start, begin))
            busy.append((begin, time.monotonic()))
        assert asking.stdin and asking.stdout
        asking.stdin.close()
        answers = [Asked(**item) for item in json.loads(asking.stdout.read())]
        asking.wait()
    return Latency(
        engine,
        capacity,
        capacity / 2,
        reloads,
        statistics.median(stop - begin for begin, stop in busy),
        *typical(answers, quiet),
        *typical(answers, busy),
        sum(not item.answered for item in answers),
    )


def memory(engine: str, reloads: int) -> list[Memory]:
    results: list[Memory] = []
    with serving(engine, reloads + 1) as (running, next_version), grpc.insecure_channel(running.address) as channel:
        call = channel.unary_unary(PREDICT.path, None, None)
        for number in range(reloads + 1):
            if number:
                reload(running, next_version, number + 1)
            call(request())
            results.append(look(running, number))
    return results


@contextmanager
def serving(engine: str, versions: int) -> Iterator[tuple[Server, Callable[[], None]]]:
    """A server of one version, and what moves the next one there and removes all but the last two.

    Every version is made before the first request: only the server works while it is measured.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as store:
        models = Path(folder, "tiny")
        models.mkdir()
        made = iter(sorted(make(Path(store), versions, engine), key=lambda path: int(path.name)))

        def next_version() -> None:
            path = next(made)
            path.rename(models / path.name)
            for old in models.iterdir():
                if int(old.name) < int(path.name) - 1:
                    shutil.rmtree(old)

        next_version()
        program = "import sys; from foldserve_server.cli import main; sys.exit(main())"
        flags = ("--port=0", "--threads=1", "--log-level=warning", "--file_system_poll_wait_seconds=0.05")
        with server(sys.executable, "-c", program, folder, f"--engine={engine}", *flags) as running:
            yield running, next_version


def make(store: Path, versions: int, engine: str) -> list[Path]:
    first = publish(store, SIDE, save if engine == "tensorflow" else lambda _: None)
    return [first, *(copy(first, number) for number in range(2, versions + 1))]


def copy(path: Path, version: int) -> Path:
    """The same bundle under another number."""
    copied = Path(shutil.copytree(path, path.with_name(str(version))))
    manifest = Manifest.from_bytes((copied / MANIFEST).read_bytes())
    (copied / MANIFEST).write_bytes(replace(manifest, version=version).to_bytes())
    return copied


def save(path: Path) -> None:
    """Adds a SavedModel with the ONNX model's weights."""
    subprocess.run([sys.executable, "-c", SAVE, path, str(SIDE), str(SIDE), "3"], check=True, capture_output=True)


def reload(running: Server, next_version: Callable[[], None], version: int) -> None:
    reload_to(running, "tiny", version, next_version)


def reload_to(running: Server, model: str, version: int, arrive: Callable[[], None]) -> None:
    """Lets a version arrive; returns when it answers and the one before has ended."""
    arrive()
    until = time.monotonic() + PATIENCE_S
    status = GetModelStatusRequest()
    status.model_spec.name = model
    with grpc.insecure_channel(running.address) as channel:
        call = channel.unary_unary(STATUS.path, STATUS.request.SerializeToString, STATUS.response.FromString)
        while True:
            versions = {item.version: item for item in call(status).model_version_status}
            states = {number: item.state for number, item in versions.items()}
            if states.get(version) == AVAILABLE and states.get(version - 1) == END:
                return
            if states.get(version) == END:
                raise SystemExit(f"version {version} was refused: {versions[version].status.error_message}")
            if time.monotonic() > until:
                raise SystemExit(f"version {version} does not answer alone after {PATIENCE_S} s: {states}")
            time.sleep(0.02)


def measured_capacity(running: Server) -> float:
    options = asyncio.run(load(running.address, CAPACITY_CALLERS, SIDE, CAPACITY_S))
    return float(options["sample"]["rate"])


def asking_at(running: Server, rate: float) -> "subprocess.Popen[str]":
    """A process that asks at a steady rate until its standard input ends."""
    command = (sys.executable, __file__, "latency", "--ask", running.address, str(rate))
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def ask(address: str, rate: float) -> list[Asked]:
    """Asks at a steady rate, whether or not what was asked before is answered, until told to stop."""
    answers: list[Asked] = []
    content = request()
    stop = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(PREDICT.path, None, None)

        async def item(due: float) -> None:
            try:
                await call(content)
                answered = True
            except grpc.aio.AioRpcError:
                answered = False
            answers.append(Asked(due, time.monotonic() - due, answered))

        async with asyncio.TaskGroup() as group:
            due = time.monotonic()
            while not stop.done():
                await asyncio.sleep(due - time.monotonic())
                group.create_task(item(due))
                due += 1 / rate
    return answers


def request() -> bytes:
    message = PredictRequest()
    message.model_spec.name = "tiny"
    message.inputs["image"].CopyFrom(encode(draw(1, SIDE)))
    return bytes(message.SerializeToString())


def typical(answers: list[Asked], spans: list[Span]) -> tuple[float, float]:
    """Percentiles of each span, and their medians: a stall of the whole machine spoils one span and not all."""
    results = [
        percentiles([item.took for item in answers if item.answered and begin <= item.at < stop])
        for begin, stop in spans
    ]
    return statistics.median(p50 for p50, _ in results), statistics.median(p99 for _, p99 in results)


def percentiles(times: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(times, n=100)
    return cuts[49] * 1e3, cuts[98] * 1e3


def look(running: Server, reloads: int) -> Memory:
    process = Path(f"/proc/{running.processes[0]}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    children = (process / "task" / process.name / "children").read_text().split()
    resident = int(status["VmRSS"].split()[0]) / 1024
    return Memory(reloads, resident, len(list((process / "fd").iterdir())), 1 + len(children))


def picture(results: list[Memory]) -> str:
    line = Line("front end, resident MiB", [(item.reloads, item.resident_mb) for item in results])
    return draw_curve("Memory of the front end over reloads in a row", "reloads", [line])


if __name__ == "__main__":
    main()
