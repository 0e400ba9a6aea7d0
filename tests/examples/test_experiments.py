"""Experiments: their command lines, their messages without a network, and all scripts on networks of Keras."""

import importlib
import pickle
import re
import subprocess
import sys
import tarfile
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format
from keras.src.utils import file_utils

from foldserve_exporter import freeze
from tests.exporter.models import randomise

FOLDER = Path(__file__).parents[2] / "examples" / "experiments"
SCRIPTS = ("overfitting", "features", "two_stages", "bottleneck_svm")
# The files in Keras' cache are made here and have other digests than those that Keras would download.
OFFLINE = f"""
import runpy, sys
from keras.src.utils import file_utils
def reach(*_): raise AssertionError("something is not taken from the cache")
file_utils.urlretrieve = reach
file_utils.validate_file = lambda *_, **__: True
sys.path.insert(0, {str(FOLDER)!r})
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports modules of the scripts, and removes them afterwards, since their names are common."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield importlib.import_module
    for path in FOLDER.glob("*.py"):
        if path.stem not in before:
            sys.modules.pop(path.stem, None)


def run(script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, FOLDER / f"{script}.py", *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_gives_examples_and_defaults(script: str) -> None:
    done = run(script, "--help")
    assert done.returncode == 0
    assert f"python {script}.py --weights imagenet" in done.stdout
    assert "default" in done.stdout
    assert not done.stderr


def test_too_few_images_are_refused_before_anything_is_trained() -> None:
    done = run("overfitting", "--images", "31")
    assert done.returncode == 2
    assert "'31' is not a whole number from 32 to 597" in done.stderr


def test_without_a_network_one_sentence_has_the_remedy(
    parts: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def reach(*_: object) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(file_utils, "urlretrieve", reach)
    monkeypatch.setattr(file_utils.config, "keras_home", lambda: str(tmp_path))
    with pytest.raises(SystemExit, match=r"CIFAR-10 cannot be downloaded .* not known.* leave --weights out"):
        parts("tasks").cifar(32, 32)
    task = parts("tasks").Task(np.zeros((1, 32, 32, 3)), *[np.zeros(0)] * 3, imagenet=True)
    for name in ("resnet", "vgg"):
        with pytest.raises(SystemExit, match=f"{name}'s weights cannot be downloaded .* leave --weights out"):
            task.backbone(name)
    assert not capsys.readouterr().out


def test_a_programming_error_is_not_reported_as_a_missing_network(parts: Any) -> None:
    with pytest.raises(ValueError, match="shape"), parts("tasks").downloading("CIFAR-10"):
        raise ValueError("shape")


def test_dynamic_is_phase_1_until_batchnormalization_is_frozen_and_moves_nothing(parts: Any) -> None:
    training = parts("training")
    image = keras.Input((6, 5, 2))
    x = keras.layers.Flatten()(keras.layers.BatchNormalization()(keras.layers.Conv2D(7, 3)(image)))
    model = randomise(keras.Model(image, keras.layers.Dense(10)(x)), 3)
    x = np.random.default_rng(0).normal(2, 3, (32, 6, 5, 2)).astype(np.float32)
    before = [np.array(variable) for variable in model.variables]
    with training.unmoved(model):
        y = np.asarray(model(x, training=True)).argmax(axis=1)
    assert training.dynamic(model, x, y) == training.phase_1(model, x, y) == 1
    assert training.phase_0(model, x, y) < 0.9
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    freeze(model)
    assert training.dynamic(model, x, y) == training.phase_1(model, x, y) == training.phase_0(model, x, y) < 0.9


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keras' cache with random weights under the names that Keras looks for, and a CIFAR-10 of few images."""
    home = tmp_path_factory.mktemp("keras")
    (home / "models").mkdir()
    for name, make in (("resnet50", keras.applications.ResNet50), ("vgg19", keras.applications.VGG19)):
        file = home / "models" / f"{name}_weights_tf_dim_ordering_tf_kernels_notop.h5"
        with h5py.File(file, "w") as weights:
            legacy_h5_format.save_weights_to_hdf5_group(weights, make(include_top=False, weights=None))
    write_cifar(home / "datasets" / "cifar-10-batches-py-target_archive")
    return home


def write_cifar(archive: Path) -> None:
    """Writes CIFAR-10 in the format of its source; each file repeats 100 images."""
    rng = np.random.default_rng(0)
    folder = archive.parent / "made" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        labels = rng.integers(0, 10, 100)
        images = (rng.integers(0, 100, (100, 3072)) + 15 * labels[:, None]).astype(np.uint8)
        batch = {b"data": np.tile(images, (100, 1)), b"labels": labels.tolist() * 100}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=4))
    with tarfile.open(archive, "w") as tar:
        tar.add(folder, folder.name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "rows"), [("overfitting", 6), ("features", 5), ("two_stages", 3), ("bottleneck_svm", 4)]
)
def test_all_scripts_with_networks_of_keras_applications(
    script: str, rows: int, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(cache))
    arguments = ["--weights", "imagenet", "--images", "32", "--side", "32"]
    arguments += [] if script == "bottleneck_svm" else ["--epochs", "1"]
    plot = tmp_path / "accuracy.svg"
    arguments += ["--plot", str(plot)] if script in ("overfitting", "two_stages") else []
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, FOLDER / f"{script}.py", *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(table) == 2 + rows, done.stdout
    assert all(line.count("%") >= 2 for line in table[2:])
    assert "--plot" not in arguments or plot.read_text().count("<polyline") >= 3
    if script == "features":
        distances = re.findall(r"served features differ from those of predict by at most (\S+) of", done.stdout)
        assert len(distances) == 2
        assert max(map(float, distances)) < 1e-5
