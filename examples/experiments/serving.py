"""Features from a server: a model is exported up to a layer, served, and called by `predict-model`."""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from command import report
from numpy.typing import NDArray

Array = NDArray[Any]
BIN = Path(sys.executable).parent


def export(model: Any, name: str, layer: str, samples: Array, folder: Path) -> None:
    """Publishes the model up to this layer, below `folder/models`."""
    report(f"{name}: export-model --features {layer}")
    source, rows = folder / f"{name}.keras", folder / f"{name}-samples.npy"
    model.save(source)
    np.save(rows, samples)
    _run("export-model", source, "-o", folder / "models", "--name", name, "--features", layer, "--samples", rows)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serves all exported models on a free port; gives the address."""
    command: list[str | Path] = [BIN / "serve-model", folder / "models", "--port", "0", "--log-level", "warning"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        match = next(filter(None, (re.search(r"serving on (\S+:\d+): (.*)", line) for line in server.stdout)), None)
        if match is None:
            sys.exit("serve-model ended before it served; its messages are above")
        report(f"serve-model: {match[2]}")
        yield match[1]
    finally:
        server.terminate()
        server.wait()


def predicted_features(address: str, name: str, images: Sequence[Array], folder: Path) -> list[Array]:
    """Predicts the features of each array of images."""
    report(f"{name}: predict-model")
    files = [folder / f"{name}-{number}.npy" for number in range(len(images))]
    for file, rows in zip(files, images, strict=True):
        np.save(file, rows)
    answers = folder / f"{name}-features.npy"
    _run("predict-model", f"{address}/{name}", *files, "-o", answers, "--quiet")
    return np.split(np.load(answers), np.cumsum([len(rows) for rows in images])[:-1])


def _run(command: str, *arguments: object) -> None:
    done = subprocess.run(
        [BIN / command, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        sys.exit(f"{done.stdout}{command} ended with status {done.returncode}")
