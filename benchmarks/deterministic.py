"""Cost of `--deterministic`: the same server with it and without, in one run.

Run it with `python benchmarks/deterministic.py`. There are two kinds of models: where a batch size was found in which
a row's bits depend on nothing but the row, rows are computed in batches of that size, padded; where none was, as where
the shape of a row is dynamic, each is computed alone. The tiny CNN of `hop.py` is served as either: with images of one
size, and with images of any size. Both servers stand at once and are asked in turns, with one thread each; numbers are
medians over the turns.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import grpc
from hop import CALLERS, SIDES, Sample, Server, middle, server, turn
from tiny import publish

from foldserve_contract.protos import GetModelStatusRequest
from foldserve_contract.protos.methods import MODEL_METHODS

KINDS = {"one size": False, "any size": True}
WITH, WITHOUT = "--deterministic", "without"
STATUS = MODEL_METHODS["GetModelStatus"]
PROGRAM = "import sys; from foldserve_server.cli import main; sys.exit(main())"


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of model, one size of images and one number of callers.

    Attributes:
        kind: Whether images have one size or any.
        batches: What the server with `--deterministic` says of its batches.
        exact: Its medians.
        plain: Those of the server without.
        ratio: Medians of the ratios of turns that followed one another; they tell more where the machine is not idle.
    """

    kind: str
    side: int
    callers: int
    batches: str
    exact: Sample
    plain: Sample
    ratio: Sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a turn (default 2)")
    parser.add_argument("--turns", type=int, default=5, help="turns of each server for each number of callers")
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES, help="sizes of the images (default 32 224)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    rows = [
        row for side in options.sides for kind in KINDS for row in measure(kind, side, options.seconds, options.turns)
    ]
    print(json.dumps([asdict(row) for row in rows], indent=2) if options.json else as_table(rows))


def measure(kind: str, side: int, seconds: float, turns: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        publish(Path(folder), side, free=KINDS[kind])
        command = (sys.executable, "-c", PROGRAM, folder, "--port=0", "--threads=1", "--log-level=warning")
        with server(*command, WITH) as exact, server(*command) as plain:
            servers = {WITH: exact, WITHOUT: plain}
            batches = said_of_batches(exact)
            results: dict[tuple[int, str], list[Sample]] = {(item, name): [] for item in CALLERS for name in servers}
            for callers, name in plan(turns):
                results[callers, name].append(turn(servers[name], callers, side, seconds))
    return [row(kind, side, item, batches, results[item, WITH], results[item, WITHOUT]) for item in CALLERS]


def plan(turns: int) -> Iterator[tuple[int, str]]:
    """Order of the turns: the servers alternate, and each comes first as often as second."""
    for number in range(turns):
        for callers in CALLERS:
            yield from ((callers, name) for name in ((WITH, WITHOUT) if number % 2 else (WITHOUT, WITH)))


def row(kind: str, side: int, callers: int, batches: str, exact: list[Sample], plain: list[Sample]) -> Row:
    ratios = [
        Sample(*(ours / theirs for ours, theirs in zip(astuple(item), astuple(other), strict=True)))
        for item, other in zip(exact, plain, strict=True)
    ]
    return Row(kind, side, callers, batches, middle(exact), middle(plain), middle(ratios))


def said_of_batches(running: Server) -> str:
    """Status of the version."""
    request = GetModelStatusRequest()
    request.model_spec.name = "tiny"
    with grpc.insecure_channel(running.address) as channel:
        call = channel.unary_unary(STATUS.path, STATUS.request.SerializeToString, STATUS.response.FromString)
        (status,) = call(request).model_version_status
    return str(status.status.error_message)


def as_table(rows: list[Row]) -> str:
    lines = [f"{'images':>8} {'callers':>7} {'exact/s':>8} {'plain/s':>8}   exact against plain: req/s, p50, CPU"]
    for row in rows:
        ratio = row.ratio
        lines.append(
            f"{row.side:>4}×{row.side:<3} {row.callers:>7} {row.exact.rate:>8.0f} {row.plain.rate:>8.0f}"
            f"   ×{ratio.rate:.2f}, ×{ratio.p50_ms:.2f}, ×{ratio.cpu_ms:.2f}   ({row.kind}: {row.batches})"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
