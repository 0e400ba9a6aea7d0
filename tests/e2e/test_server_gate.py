"""Nothing is put into service that does not answer as it was verified, and nobody notices that it was tried."""

import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from foldserve_contract.bundle import GOLDEN, MANIFEST, ONNX, Bundle
from foldserve_contract.golden import Golden
from tests.bundles import change_weight, conv_model, dense_model, make_bundle, reseal
from tests.server.running import Running, images, running

AVAILABLE, END = 30, 50
LIMIT = 1 << 30
Spoil = Callable[[Path], None]


class Harness:
    """A server whose model is asked all the time."""

    def __init__(self, root: Path, server: Running) -> None:
        self.root = root
        self.server = server
        self.versions = 1
        self.failures: list[Exception] = []
        self.answers = 0
        self._done = threading.Event()
        self._asking = threading.Thread(target=self._ask)
        self._asking.start()

    def close(self) -> None:
        self._done.set()
        self._asking.join()

    def next_version(self) -> int:
        self.versions += 1
        return self.versions

    def serving(self) -> list[int]:
        return [version for version, (state, _) in self.server.states().items() if state == AVAILABLE]

    def scores(self) -> np.ndarray:
        return self.server.predict(image=images(2))["scores"]

    def _ask(self) -> None:
        while not self._done.is_set():
            try:
                self.scores()
                self.answers += 1
            except Exception as error:
                self.failures.append(error)


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    root = tmp_path_factory.mktemp("gate")
    make_bundle(root, "m", 1)
    with running(root, f"--engine-memory-limit={LIMIT}") as server:
        harness = Harness(root, server)
        try:
            yield harness
        finally:
            harness.close()


def weight_without_seal(path: Path) -> None:
    manifest = (path / MANIFEST).read_bytes()
    change_weight(path)
    (path / MANIFEST).write_bytes(manifest)


def weight(path: Path) -> None:
    change_weight(path)


def missing(path: Path) -> None:
    (path / GOLDEN).unlink()


def wrong_digest(path: Path) -> None:
    manifest = json.loads((path / MANIFEST).read_bytes())
    next(file for file in manifest["files"] if file["path"] == ONNX)["sha256"] = "0" * 64
    (path / MANIFEST).write_text(json.dumps(manifest))


def other_model(path: Path) -> None:
    onnx.save(dense_model(), path / ONNX)
    reseal(path)


def other_weights(path: Path) -> None:
    onnx.save(conv_model(seed=99), path / ONNX)
    reseal(path)


def other_answers(path: Path) -> None:
    golden = Bundle.open(path).golden()
    outputs = {name: array.copy() for name, array in golden.outputs.items()}
    outputs["scores"][3, 1] += 1e-3
    (path / GOLDEN).write_bytes(Golden(golden.inputs, outputs).to_bytes())
    reseal(path)


def stray_file(path: Path) -> None:
    (path / "notes.txt").write_text("not sealed")


def hungry(path: Path) -> None:
    """Takes twice what an engine may have as soon as it computes."""
    onnx.save(_hungry_model(), path / ONNX)
    reseal(path)


def _hungry_model() -> ModelProto:
    model = conv_model()
    size = helper.make_tensor("size", TensorProto.INT64, [1], [2 * LIMIT // 4])
    zero = [
        helper.make_node("ConstantOfShape", ["size"], ["many"]),
        helper.make_node("ReduceSum", ["many"], ["zero"], keepdims=0),
        helper.make_node("Add", ["before", "zero"], ["scores"]),
    ]
    model.graph.node[-1].output[0] = "before"
    model.graph.node.extend(zero)
    model.graph.initializer.append(size)
    return model


SPOILS: dict[str, tuple[Spoil, str]] = {
    "a weight": (weight, "output 'scores', sample "),
    "a weight, not sealed again": (weight_without_seal, "model.onnx is not the file that was sealed"),
    "a file is missing": (missing, "golden.npz is missing"),
    "a digest is wrong": (wrong_digest, "model.onnx is not the file that was sealed"),
    "the ONNX of a model of another kind": (other_model, "inputs are ['features']; the manifest says ['image']"),
    "the ONNX of a model like it": (other_weights, "output 'scores', sample "),
    "one golden answer": (other_answers, "sample 3 in a batch of "),
    "a file that was not sealed": (stray_file, "notes.txt was not there when the bundle was sealed"),
    "more memory than it may have": (hungry, f"its memory limit is {LIMIT:,} bytes (--engine-memory-limit)"),
}


SLOW = {"a weight, not sealed again", "a file that was not sealed", "one golden answer"}  # like others


@contextmanager
def nobody_notices(harness: Harness) -> Iterator[None]:
    before = harness.answers
    yield
    for _ in range(2):
        harness.scores()
    assert harness.answers > before and not harness.failures


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] if case in SLOW else []) for case in SPOILS]
)
def test_a_spoiled_version_is_refused_with_its_reason_and_served_once_it_is_mended(harness: Harness, case: str) -> None:
    spoil, words = SPOILS[case]
    version, (serving,) = harness.next_version(), harness.serving()
    before = harness.scores()
    aside = make_bundle(harness.root.with_name("aside"), "m", version, seed=version)
    whole = shutil.copytree(aside, aside.with_name(f"whole-{version}"))
    spoil(aside)
    with nobody_notices(harness):
        shutil.move(aside, harness.root / "m" / str(version))
        harness.server.wait_for_log(f"m/{version}: refused")
        state, reason = harness.server.states()[version]
        assert state == END and words in reason
        assert harness.serving() == [serving]
        np.testing.assert_array_equal(harness.scores(), before)

        for file in whole.iterdir():
            shutil.copy(file, harness.root / "m" / str(version))
        names = {file.name for file in Path(whole).iterdir()}
        for stray in {file.name for file in (harness.root / "m" / str(version)).iterdir()} - names:
            (harness.root / "m" / str(version) / stray).unlink()
        harness.server.wait_for_log(f"m/{version}: serving")
        harness.server.wait_for_log(f"m/{serving}: unloaded")
        assert harness.serving() == [version] and not np.allclose(harness.scores(), before)


def test_a_directory_that_is_being_copied_is_left_alone_until_it_is_whole(harness: Harness) -> None:
    version, (serving,) = harness.next_version(), harness.serving()
    aside = make_bundle(harness.root.with_name("aside"), "m", version, seed=version)
    target = harness.root / "m" / str(version)
    with nobody_notices(harness):
        target.mkdir()
        for file in sorted(aside.iterdir(), reverse=True):  # the manifest comes last
            assert harness.server.states().keys().isdisjoint({version}) and harness.serving() == [serving]
            shutil.copy(file, target)
        harness.server.wait_for_log(f"m/{version}: serving")


def test_a_version_whose_engine_dies_while_it_loads_is_refused_and_the_old_one_serves(harness: Harness) -> None:
    version, (serving,) = harness.next_version(), harness.serving()
    before = set(harness.server.engines())
    with nobody_notices(harness):
        make_bundle(harness.root, "m", version, seed=version)
        harness.server.wait_for_log(f"m/{version}: loading")
        while not (new := set(harness.server.engines()) - before):
            pass
        os.kill(new.pop(), signal.SIGKILL)
        harness.server.wait_for_log(f"m/{version}: refused")
        state, reason = harness.server.states()[version]
        assert state == END and "while loading, the engine process was ended by SIGKILL" in reason
        assert harness.serving() == [serving]
        (harness.root / "m" / str(version) / MANIFEST).touch()
        harness.server.wait_for_log(f"m/{version}: serving")
