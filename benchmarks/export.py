"""What an export of ResNet50 (224×224) costs, beside Keras' own `export()` to SavedModel and ONNX, in one run.

    python benchmarks/export.py            # a table; some minutes
    python benchmarks/export.py --json

Both work on the same model with random statistics and biases (zero biases fold by luck). Keras verifies nothing.
"""

import argparse
import json
import os
import resource
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

from foldserve_exporter.runtime import import_quietly

SIDE = 224
ROWS = 32


def resnet(side: int) -> Any:
    import keras
    import numpy as np

    model = keras.applications.ResNet50(weights=None, input_shape=(side, side, 3))
    generator = np.random.default_rng(0)
    for variable in model.weights:
        noise = generator.normal(0, 0.2, variable.shape)
        if "variance" in variable.name or variable.name == "gamma":
            variable.assign(np.abs(1 + noise))
        elif variable.name in ("beta", "bias", "moving_mean"):
            variable.assign(noise)
    return model


def by_keras(model: Any, folder: Path) -> dict[str, float]:
    seconds = {}
    for kind, target in (("tf_saved_model", folder / "saved_model"), ("onnx", folder / "model.onnx")):
        began = time.perf_counter()
        model.export(str(target), format=kind, verbose=False)
        seconds[kind] = time.perf_counter() - began
    return seconds


def by_foldserve(model: Any, folder: Path, side: int) -> dict[str, float]:
    import numpy as np

    from foldserve_exporter import export_model

    samples = np.random.default_rng(1).uniform(0, 255, (ROWS, side, side, 3)).astype(np.float32)
    began = time.perf_counter()
    exported = export_model(model, folder / "models", "resnet50", samples=samples)
    return {**exported.report.seconds, "whole": time.perf_counter() - began}


def nodes(path: Path) -> dict[str, int]:
    import onnx

    found = [node.op_type for node in onnx.load(path, load_external_data=False).graph.node]
    return {kind: found.count(kind) for kind in ("Conv", "Mul", "Add", "Sqrt", "Reciprocal")}


def measure(side: int) -> dict[str, Any]:
    import_quietly()
    warnings.simplefilter("ignore")
    model = resnet(side)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keras_seconds = by_keras(model, folder)
        ours = by_foldserve(model, folder, side)
        left = {"keras": nodes(folder / "model.onnx"), "foldserve": nodes(folder / "models/resnet50/1/model.onnx")}
    theirs = sum(keras_seconds.values())
    making = ours["fold"] + ours["emit"]
    return {
        "keras_seconds": keras_seconds,
        "foldserve_seconds": ours,
        "fold_and_emit_over_keras": making / theirs,
        "whole_over_keras": ours["whole"] / theirs,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "peak_worker_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        "onnx_nodes": left,
    }


def show(figures: dict[str, Any]) -> None:
    for who in ("keras", "foldserve"):
        for step, seconds in figures[f"{who}_seconds"].items():
            print(f"{who:10} {step:16} {seconds:7.1f} s")
    print(f"fold and emit: x{figures['fold_and_emit_over_keras']:.2f} of Keras' export of both artifacts")
    print(f"whole export, verified: x{figures['whole_over_keras']:.2f}")
    print(f"peak memory: {figures['peak_mib']:,.0f} MiB, largest fresh process {figures['peak_worker_mib']:,.0f} MiB")
    for who, counts in figures["onnx_nodes"].items():
        print(f"{who:10} ONNX nodes: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=SIDE, help="height and width of the images (224)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    figures = measure(options.side)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        show(figures)


if __name__ == "__main__":
    main()
