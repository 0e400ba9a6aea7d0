"""Cost of the hop into an engine process: `serve-model` against gRPC and ONNX Runtime in one process.

Run it with `python benchmarks/hop.py`. Both servers stand at once, each answers the same requests for the same tiny
CNN with one thread, and a load generator in a process of its own asks them in turns, so that whatever else the
machine does meets both alike. Requests of one small image (12 kB) show what a request costs, those of one large image
(602 kB) what its bytes cost. Numbers are medians over the turns.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import onnxruntime
from tiny import draw, publish

from foldserve_contract.bundle import ONNX
from foldserve_contract.protos import PredictRequest, PredictResponse
from foldserve_contract.protos.methods import PREDICTION_METHODS
from foldserve_contract.tensors import decode, encode, encode_into

SIDES = (32, 224)
CALLERS = (1, 8, 32)
PREDICT = PREDICTION_METHODS["Predict"]
SERVERS = ("serve-model", "one process")


@dataclass(frozen=True, slots=True)
class Sample:
    """One turn of load: answers a second, and milliseconds to an answer.

    Attributes:
        cpu_ms: Processor time that the server's processes took for an answer; it tells more than `rate` where the
            machine is not idle.
    """

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens, and its processes."""

    address: str
    processes: tuple[int, ...]

    def cpu_s(self) -> float:
        """Processor time its processes have taken."""
        ticks = 0
        for process in self.processes:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Row:
    """Medians of one server, for images of one size and one number of callers."""

    side: int
    callers: int
    server: str
    sample: Sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a turn (default 2)")
    parser.add_argument("--turns", type=int, default=5, help="turns of each server for each number of callers")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--plain", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--connections", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--load", nargs=3, metavar=("ADDRESS", "CALLERS", "SIDE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain:
        asyncio.run(serve_plainly(arguments.plain))
    elif arguments.load:
        address, callers, side = arguments.load
        print(json.dumps(asyncio.run(load(address, int(callers), int(side), arguments.seconds, arguments.connections))))
    else:
        rows = [row for side in SIDES for row in measure(side, arguments.seconds, arguments.turns)]
        print(as_json(rows) if arguments.json else as_table(rows))


def measure(side: int, seconds: float, turns: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        version = publish(Path(folder), side)
        plain = (sys.executable, __file__, "--plain", str(version / ONNX))
        program = "import sys; from foldserve_server.cli import main; sys.exit(main())"
        served = (sys.executable, "-c", program, folder, "--port=0", "--threads=1", "--log-level=warning")
        with server(*served) as ours, server(*plain) as theirs:
            servers = dict(zip(SERVERS, (ours, theirs), strict=True))
            results = [(callers, name, turn(servers[name], callers, side, seconds)) for callers, name in plan(turns)]
    return [
        Row(side, callers, name, middle([sample for *key, sample in results if key == [callers, name]]))
        for callers in CALLERS
        for name in SERVERS
    ]


def plan(turns: int) -> Iterator[tuple[int, str]]:
    """Order of the turns: the servers alternate, and each comes first as often as second."""
    for number in range(turns):
        for callers in CALLERS:
            yield from ((callers, name) for name in (SERVERS if number % 2 else SERVERS[::-1]))


def middle(samples: list[Sample]) -> Sample:
    columns = zip(*(astuple(sample) for sample in samples), strict=True)
    return Sample(*(statistics.median(column) for column in columns))


@contextmanager
def server(*command: str) -> Iterator[Server]:
    """Starts a server; its address is the third word of its first line."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[2].rstrip(":")
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            yield Server(address, (process.pid, *map(int, children)))
        finally:
            process.terminate()


def turn(server: Server, callers: int, side: int, seconds: float) -> Sample:
    command = (sys.executable, __file__, "--load", server.address, str(callers), str(side), "--seconds", str(seconds))
    before = server.cpu_s()
    arguments = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return replace(Sample(**arguments["sample"]), cpu_ms=1e3 * (server.cpu_s() - before) / arguments["answers"])


async def load(address: str, callers: int, side: int, seconds: float, connections: int = 1) -> dict[str, Any]:
    """Callers that each ask again as soon as they are answered; the first tenth of the time is not measured."""
    request = PredictRequest()
    request.model_spec.name = "tiny"
    request.inputs["image"].CopyFrom(encode(draw(1, side)))
    content = request.SerializeToString()
    apart = [("grpc.use_local_subchannel_pool", 1)]
    async with AsyncExitStack() as stack:
        channels = [grpc.aio.insecure_channel(address, options=apart) for _ in range(connections)]
        calls = [
            (await stack.enter_async_context(channel)).unary_unary(PREDICT.path, None, None) for channel in channels
        ]
        start = time.perf_counter() + seconds / 10
        times: list[float] = []
        answers = 0

        async def ask(call: Any) -> None:
            nonlocal answers
            while (begin := time.perf_counter()) < start + seconds:
                await call(content)
                answers += 1
                if begin >= start:
                    times.append(time.perf_counter() - begin)

        await asyncio.gather(*(ask(calls[number % connections]) for number in range(callers)))
        spent = time.perf_counter() - start
    cuts = statistics.quantiles(times, n=100)
    return {"answers": answers, "sample": asdict(Sample(len(times) / spent, cuts[49] * 1e3, cuts[98] * 1e3))}


async def serve_plainly(model: Path) -> None:
    """The least there can be: a handler that runs the session in the event loop's own thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    async def predict(request: Any, context: Any) -> Any:
        (scores,) = session.run(["scores"], {"image": decode(request.inputs["image"])})
        response = PredictResponse()
        encode_into(response.outputs["scores"], scores)
        return response

    handler = grpc.unary_unary_rpc_method_handler(
        predict, PREDICT.request.FromString, PREDICT.response.SerializeToString
    )
    running = grpc.aio.server()
    running.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(PREDICT.service, {PREDICT.name: handler}),))
    port = running.add_insecure_port("127.0.0.1:0")
    await running.start()
    print(f"serving on 127.0.0.1:{port}", flush=True)
    await running.wait_for_termination()


def as_json(rows: list[Row]) -> str:
    return json.dumps([asdict(row) for row in rows], indent=2)


def as_table(rows: list[Row]) -> str:
    lines = [
        f"{'image':>8} {'callers':>7}  {'server':<12} {'req/s':>8} {'p50 ms':>8} {'p99 ms':>8}"
        f" {'CPU ms':>7}   against one process: req/s, p50, CPU"
    ]
    for ours, theirs in zip(rows[::2], rows[1::2], strict=True):
        for row in (ours, theirs):
            sample = row.sample
            lines.append(
                f"{row.side:>4}×{row.side:<3} {row.callers:>7}  {row.server:<12} {sample.rate:>8.0f}"
                f" {sample.p50_ms:>8.2f} {sample.p99_ms:>8.2f} {sample.cpu_ms:>7.2f}"
            )
        ratios = [
            item / other
            for item, other in (
                (ours.sample.rate, theirs.sample.rate),
                (ours.sample.p50_ms, theirs.sample.p50_ms),
                (ours.sample.cpu_ms, theirs.sample.cpu_ms),
            )
        ]
        lines[-2] += "   ×{:.2f}, ×{:.2f}, ×{:.2f}".format(*ratios)
    return "\n".join(lines)


if __name__ == "__main__":
    main()
