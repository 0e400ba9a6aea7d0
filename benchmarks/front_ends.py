"""Gain of more front ends: `serve-model --front-ends N` against one front end, in one run.

Run it with `python benchmarks/front_ends.py`. Both servers stand at once and are asked in turns, each caller over a
connection of its own, by load generators in processes of their own. Requests of one small image show what a request
costs. Cores that are not there cannot be used: load generators, front ends and the engine take about one each.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hop import Server, server
from tiny import publish

PROGRAM = "import sys; from foldserve_server.cli import main; sys.exit(main())"
HOP = Path(__file__).with_name("hop.py")


@dataclass(frozen=True, slots=True)
class Row:
    """Medians over the turns of a server with so many front ends."""

    front_ends: int
    rate: float
    p50_ms: float
    cpu_ms: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--front-ends", type=int, default=2, help="how many to compare with one (default 2)")
    parser.add_argument("--generators", type=int, default=2, help="processes that ask (default 2)")
    parser.add_argument("--callers", type=int, default=8, help="callers of each of them (default 8)")
    parser.add_argument("--side", type=int, default=32, help="side of the image (default 32)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a turn (default 2)")
    parser.add_argument("--turns", type=int, default=5, help="turns of each server (default 5)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    rows = measure(options)
    print(json.dumps([asdict(row) for row in rows]) if options.json else as_table(rows))


def measure(options: argparse.Namespace) -> list[Row]:
    counts = (1, options.front_ends)
    results: dict[int, list[tuple[float, float, float]]] = {count: [] for count in counts}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        publish(Path(folder), options.side)
        flags = (folder, "--port=0", "--rest_api_port=0", "--threads=1", "--log-level=warning")
        servers = {
            count: stack.enter_context(server(sys.executable, "-c", PROGRAM, *flags, f"--front-ends={count}"))
            for count in counts
        }
        for number in range(options.turns):
            for count in counts if number % 2 else counts[::-1]:
                results[count].append(turn(servers[count], options))
    return [
        Row(count, *(statistics.median(column) for column in zip(*results[count], strict=True))) for count in counts
    ]


def turn(server: Server, options: argparse.Namespace) -> tuple[float, float, float]:
    """Answers a second, the median time to one, and processor time for one, in milliseconds."""
    before = server.cpu_s()
    output = list(load(server, options))
    answers = sum(item["answers"] for item in output)
    rate = sum(item["sample"]["rate"] for item in output)
    p50_ms = statistics.median(item["sample"]["p50_ms"] for item in output)
    return rate, p50_ms, 1e3 * (server.cpu_s() - before) / answers


def load(server: Server, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    words = (
        str(options.callers),
        str(options.side),
        "--seconds",
        str(options.seconds),
        "--connections",
        str(options.callers),
    )
    command = (sys.executable, str(HOP), "--load", server.address, *words)
    asking = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(options.generators)]
    for process in asking:
        out, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"a load generator ended with status {process.returncode}")
        yield json.loads(out)


def as_table(rows: list[Row]) -> str:
    lines = [f"{'front ends':>10} {'req/s':>8} {'p50 ms':>8} {'CPU ms':>7}"]
    lines += [f"{row.front_ends:>10} {row.rate:>8.0f} {row.p50_ms:>8.2f} {row.cpu_ms:>7.2f}" for row in rows]
    item, more = rows
    ratios = (more.rate / item.rate, more.p50_ms / item.p50_ms, more.cpu_ms / item.cpu_ms)
    return "\n".join([*lines, "against one: req/s ×{:.2f}, p50 ×{:.2f}, CPU ×{:.2f}".format(*ratios)])


if __name__ == "__main__":
    main()
