"""Cost of an export of ResNet50 (224×224), beside Keras' own `export()` to SavedModel and ONNX, in one run.

    python benchmarks/export.py            # a table; three turns, some minutes
    python benchmarks/export.py --json

Each works in a process of its own on the same model with random statistics and biases (zero biases fold by luck), and
they take turns, since a shared machine is faster one minute than the next: what counts are the medians of the ratios
within a turn. Keras verifies nothing. The reference is computed beside the emission, which takes the longer for it.
"""

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.matrix.randomised import application
from benchmarks.process_memory import run_measured
from foldserve_exporter.runtime import import_quietly

SIDE = 224
ROWS = 32
TURNS = 3


def by_keras(model: Any, folder: Path, side: int) -> dict[str, Any]:
    seconds = {}
    for kind, target in (("tf_saved_model", folder / "saved_model"), ("onnx", folder / "model.onnx")):
        began = time.perf_counter()
        model.export(str(target), format=kind, verbose=False)
        seconds[kind] = time.perf_counter() - began
    return {"seconds": seconds, "onnx_nodes": nodes(folder / "model.onnx")}


def by_foldserve(model: Any, folder: Path, side: int) -> dict[str, Any]:
    import numpy as np

    from foldserve_exporter import export_model

    samples = np.random.default_rng(1).uniform(0, 255, (ROWS, side, side, 3)).astype(np.float32)
    began = time.perf_counter()
    exported = export_model(model, folder / "models", "resnet50", samples=samples)
    seconds = {**exported.report.seconds, "whole": time.perf_counter() - began}
    candidates = exported.report.verification.candidates
    return {
        "seconds": seconds,
        "onnx_nodes": nodes(exported.path / "model.onnx"),
        "worst_over_limit": max(out.deviation / out.limit for item in candidates for out in item.outputs.values()),
    }


EXPORTERS = {"keras": by_keras, "foldserve": by_foldserve}


def nodes(path: Path) -> dict[str, int]:
    import onnx

    kinds = [node.op_type for node in onnx.load(path, load_external_data=False).graph.node]
    return {kind: kinds.count(kind) for kind in ("Conv", "Mul", "Add", "Sqrt", "Reciprocal")}


def export_once(exporter: str, side: int) -> dict[str, Any]:
    """One export in this process, from the built model on; imports are not counted."""
    import_quietly()
    warnings.simplefilter("ignore")
    model = application("ResNet50", (side, side, 3))
    before = peak_mib(resource.RUSAGE_SELF)
    with tempfile.TemporaryDirectory() as name:
        record = EXPORTERS[exporter](model, Path(name), side)
    peaks = {"before_mib": before, "peak_mib": peak_mib(resource.RUSAGE_SELF)}
    return {**record, **peaks, "peak_worker_mib": peak_mib(resource.RUSAGE_CHILDREN)}


def peak_mib(who: int) -> float:
    """A child's peak is not below what its parent held when it was started: Linux counts it so."""
    return resource.getrusage(who).ru_maxrss / 1024


def in_fresh_process(exporter: str, side: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--only", exporter, "--side", str(side)]
    run = run_measured(command, os.environ)
    assert run.code == 0, run.errors
    record: dict[str, Any] = json.loads(run.output.splitlines()[-1])
    return {**record, "peak_together_mib": run.peak_mib}


def measure(side: int) -> dict[str, Any]:
    """One turn."""
    keras, foldserve = (in_fresh_process(exporter, side) for exporter in EXPORTERS)
    theirs = sum(keras["seconds"].values())
    making = foldserve["seconds"]["fold"] + foldserve["seconds"]["emit"]
    ratios = {"fold_and_emit": making / theirs, "whole": foldserve["seconds"]["whole"] / theirs}
    return {"keras": keras, "foldserve": foldserve, "over_keras": ratios}


def show(turns: list[dict[str, Any]]) -> None:
    for turn in turns:
        for exporter in EXPORTERS:
            show_steps(exporter, turn[exporter])
        print("over Keras: " + ", ".join(f"{name} x{ratio:.2f}" for name, ratio in turn["over_keras"].items()) + "\n")
    records = [turn["foldserve"] for turn in turns]
    print(f"largest fresh process {max(entry['peak_worker_mib'] for entry in records):,.0f} MiB")
    print(f"worst deviation, share of the limit: {max(entry['worst_over_limit'] for entry in records):.2f}")
    medians = over_keras(turns)
    print(f"fold and emit: x{medians['fold_and_emit']:.2f} of Keras' export of both artifacts")
    print(f"whole export, verified: x{medians['whole']:.2f}")


def show_steps(exporter: str, record: dict[str, Any]) -> None:
    for step, seconds in record["seconds"].items():
        print(f"{exporter:10} {step:16} {seconds:7.1f} s")
    print(f"{exporter:10} peak memory {record['peak_mib']:,.0f} MiB, {record['before_mib']:,.0f} MiB before it began")
    print(f"{exporter:10} peak memory of all processes together {record['peak_together_mib']:,.0f} MiB")
    print(f"{exporter:10} ONNX nodes: " + ", ".join(f"{count} {kind}" for kind, count in record["onnx_nodes"].items()))


def over_keras(turns: list[dict[str, Any]]) -> dict[str, float]:
    """The median over the turns of each ratio."""
    return {name: statistics.median(turn["over_keras"][name] for turn in turns) for name in turns[0]["over_keras"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=SIDE, help="height and width of the images (224)")
    parser.add_argument("--turns", type=int, default=TURNS, help="how often both export (3)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--only", choices=EXPORTERS, help="one of the two, in this process, as JSON")
    options = parser.parse_args()
    if options.only:
        print(json.dumps(export_once(options.only, options.side)))
        return
    turns = [measure(options.side) for _ in range(options.turns)]
    if options.json:
        print(json.dumps({"turns": turns, "over_keras": over_keras(turns)}, indent=2))
    else:
        show(turns)


if __name__ == "__main__":
    main()
