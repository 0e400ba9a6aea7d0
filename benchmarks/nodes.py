"""Nodes that are left of each architecture after Keras' `export()` and after `export-model`, and their exactness.

    python benchmarks/nodes.py --records DIR                 # all of them that DIR holds no record of; an hour
    python benchmarks/nodes.py --records DIR lenet ResNet50  # these
    python benchmarks/nodes.py --records DIR --table docs/architectures.md

Every model is made, exported by both and counted; small ones share a process. A record is one JSON file for each model;
the table is written from the records.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.matrix import counting, exactness, models, table  # noqa: E402 - found through the line above
from foldserve_exporter.runtime import import_quietly  # noqa: E402


def measure(name: str) -> dict[str, Any]:
    """One model's record."""
    import_quietly()
    warnings.simplefilter("ignore")
    made = models.make(name)
    with tempfile.TemporaryDirectory() as folder:
        ours = by_foldserve(made, Path(folder) / "models")
        theirs = by_keras(made.model, Path(folder) / "keras")
    return {"name": name, "theme": made.theme, "versions": counting.versions(), "keras": theirs, **ours}


def by_keras(model: Any, folder: Path) -> dict[str, Any]:
    """Nodes of Keras' own export of each kind, or why there is none."""
    folder.mkdir()
    kinds = {
        "saved_model": ("tf_saved_model", folder / "saved_model", counting.saved_model),
        "onnx": ("onnx", folder / "model.onnx", counting.onnx_model),
    }
    left: dict[str, Any] = {}
    for kind, (word, path, count) in kinds.items():
        try:
            model.export(str(path), format=word, verbose=False)
            counting.require_loading(path)
            left[kind] = count(path)
        except Exception as error:  # whatever Keras and tf2onnx raise is what is to be told
            left[kind] = {"fails": f"{type(error).__name__}: {error}"[:300]}
    return left


def by_foldserve(made: models.Made, folder: Path) -> dict[str, Any]:
    """Nodes of our artifacts, how exact they are, and what became of the normalizations."""
    from foldserve_exporter.bundle_files import write_models
    from foldserve_exporter.folding import fold_graph
    from foldserve_exporter.graph import trace
    from foldserve_exporter.options import ExportOptions
    from foldserve_exporter.steps.fold import fold_model
    from foldserve_exporter.steps.load import open_model
    from foldserve_exporter.steps.reference import make_reference

    folder.mkdir()
    began = time.perf_counter()
    fold_graph(trace(made.model))
    seconds = time.perf_counter() - began
    options = ExportOptions(folder, "m")
    folded = fold_model(open_model(made.model, options), options)
    write_models(folded.model, folded.signature, folder)
    return {
        "foldserve": {"saved_model": counting.saved_model(folder), "onnx": counting.onnx_model(folder / "model.onnx")},
        "between_tensors": counting.between_tensors(folder / "model.onnx"),
        "of_the_limit": exactness.of_the_limit(folder, folded.signature, make_reference(folded, options)),
        "actions": [entry.action for entry in folded.plan],
        "reasons": sorted({f"{entry.bn}: {entry.reason}" for entry in folded.plan if "affine" in entry.action}),
        "fold_seconds": seconds,
    }


def measure_all(names: list[str], folder: Path) -> None:
    """Leaves a record for each model; a failure is told and leaves none."""
    import keras

    for name in names:
        keras.backend.clear_session()
        began = time.perf_counter()
        try:
            results = json.dumps(measure(name), indent=1)
        except Exception:
            traceback.print_exc()
        else:
            (folder / f"{name}.json").write_text(results, encoding="utf-8")
            print(f"{name:60} {time.perf_counter() - began:6.1f} s", flush=True)


def record(names: list[str], folder: Path) -> None:
    """Measures some models in a fresh process."""
    command = [sys.executable, __file__, "--records", str(folder), "--inside", *names]
    search = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    subprocess.run(command, check=True, env=search)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="architectures and keras.applications; all that have no record")
    parser.add_argument("--records", type=Path, required=True, help="folder of one JSON file for each model")
    parser.add_argument("--table", type=Path, help="write the table of all records to this file, and measure nothing")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.records.mkdir(parents=True, exist_ok=True)
    if options.table:
        options.table.write_text(
            table.page(table.read(options.records, {name: models.forced(name) for name in models.names()})),
            encoding="utf-8",
        )
    elif options.inside:
        measure_all(options.names, options.records)
    else:
        expected = {path.stem for path in options.records.glob("*.json")}
        names = options.names or [item for item in models.names() if item not in expected]
        for group in models.groups(names):
            record(group, options.records)


if __name__ == "__main__":
    main()
