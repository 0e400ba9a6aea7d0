"""Features as a service: a model is exported up to a layer, served, and asked by `predict-model`."""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from command import say
from numpy.typing import NDArray

Array = NDArray[Any]
BIN = Path(sys.executable).parent


def export(model: Any, name: str, layer: str, samples: Array, folder: Path) -> None:
    """Publishes what the model knows at this layer below `folder/models`."""
    say(f"{name}: export-model --features {layer}")
    source, rows = folder / f"{name}.keras", folder / f"{name}-samples.npy"
    model.save(source)
    np.save(rows, samples)
    _run("export-model", source, "-o", folder / "models", "--name", name, "--features", layer, "--samples", rows)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serves what was exported on a free port, whose address it gives."""
    command: list[str | Path] = [BIN / "serve-model", folder / "models", "--port", "0", "--log-level", "warning"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        found = next(filter(None, (re.search(r"serving on (\S+:\d+): (.*)", line) for line in server.stdout)), None)
        if found is None:
            sys.exit("serve-model ended before it served; what it said stands above")
        say(f"serve-model: {found[2]}")
        yield found[1]
    finally:
        server.terminate()
        server.wait()


def ask(address: str, name: str, images: Sequence[Array], folder: Path) -> list[Array]:
    """The features of each array of images."""
    say(f"{name}: predict-model")
    files = [folder / f"{name}-{number}.npy" for number in range(len(images))]
    for file, rows in zip(files, images, strict=True):
        np.save(file, rows)
    answers = folder / f"{name}-features.npy"
    _run("predict-model", f"{address}/{name}", *files, "-o", answers, "--quiet")
    return np.split(np.load(answers), np.cumsum([len(rows) for rows in images])[:-1])


def _run(command: str, *words: object) -> None:
    done = subprocess.run(
        [BIN / command, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        sys.exit(f"{done.stdout}{command} ended with status {done.returncode}")
