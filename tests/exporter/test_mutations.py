"""Artifacts spoiled in many ways: whatever changes an answer is refused, and whatever changes none is not.

Every spoiled ONNX model is shown to the verifier and, as a re-sealed bundle would show it, to the golden check of the
engine that serves. Both are held against 256 inputs that neither has seen.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from onnx import helper

from foldserve_contract.manifest import Source
from foldserve_contract.tolerance import deviation, within
from foldserve_engine.errors import EngineError
from foldserve_engine.golden import check_golden
from foldserve_engine.onnx_engine import OnnxEngine
from foldserve_engine.protocol import EngineOptions
from foldserve_exporter.emit.onnx_model import write_onnx
from foldserve_exporter.emit.saved_model import serving_function
from foldserve_exporter.graph import rebuild, trace
from foldserve_exporter.load.loader import Loaded
from foldserve_exporter.naming import NamedModel
from foldserve_exporter.options import ExportOptions
from foldserve_exporter.preparation import Expectation, FoldedModel, expect, fold_model
from foldserve_exporter.verify.batches import ask, plan_batches
from foldserve_exporter.verify.evaluation import evaluate
from foldserve_exporter.verify.judge import judge

from .models import randomise
from .spoils import spoils

UNSEEN = 256


def network(seed: int, epsilon: float = 1e-3) -> keras.Model:
    layers = keras.layers

    def normalised(x: Any) -> Any:
        return layers.BatchNormalization(epsilon=epsilon)(x)

    image = keras.Input((11, 9, 3), name="image")
    x = shortcut = layers.ReLU()(normalised(layers.Conv2D(8, 3, padding="same")(image)))
    x = layers.ReLU()(normalised(layers.DepthwiseConv2D((3, 2), padding="same")(x)))
    x = layers.Add()([normalised(layers.Conv2D(8, 1)(x)), shortcut])
    x = normalised(layers.SeparableConv2D(6, 3, strides=2)(layers.ReLU()(x)))
    x = layers.ReLU()(normalised(layers.Dense(10)(layers.GlobalAveragePooling2D()(x))))
    return randomise(keras.Model(image, layers.Dense(5, activation="softmax", name="scores")(x)), seed)


def images(rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, 11, 9, 3)).astype(np.float32)


@dataclass(frozen=True)
class Bench:
    """The sound model, and everything a spoiled one is shown to."""

    folded: FoldedModel
    expected: Expectation
    content: bytes
    unseen: np.ndarray
    truth: np.ndarray

    def verify(self, engine: OnnxEngine) -> bool:
        batches = plan_batches(self.expected.rows)
        answers = ask(engine.run, self.expected.rows, batches)
        return judge("spoiled", answers, batches, self.expected.reference, self.folded.signature).passed

    def check(self, engine: OnnxEngine) -> bool:
        """As the gate of a server does on the machine that verified."""
        return check_golden(engine, self.expected.golden, {"scores": self.expected.reference.limit("scores")}).passed

    def distance(self, engine: OnnxEngine) -> float:
        answers = engine.run({"image": self.unseen})["scores"]
        return deviation(answers, self.truth) if answers.shape == self.truth.shape else float("inf")


def onnx_of(model: NamedModel, signature: Any, folder: Path) -> bytes:
    path = folder / "model.onnx"
    write_onnx(serving_function(model, signature), signature, path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folded = fold_model(Loaded(network(21), Source("network", "")))
    expected = expect(folded, ExportOptions(Path(), "network", samples=images(64, 1)))
    unseen = images(UNSEEN, 2)
    truth = evaluate(folded.graph, "float64", {"image": unseen})["scores"]
    content = onnx_of(folded.model, folded.signature, tmp_path_factory.mktemp("sound"))
    return Bench(folded, expected, content, unseen, truth)


def whole_files(bench: Bench, folder: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Models that are sound in themselves, and not this one."""
    signature = bench.folded.signature

    def exported(model: keras.Model) -> bytes:
        other = fold_model(Loaded(model, Source("other", "")))
        return onnx_of(other.model, signature, folder)

    def nudged() -> bytes:
        model = network(21)
        kernel = model.get_layer(index=1).kernel
        kernel.assign(np.array(kernel) * np.float32(1.002))
        return exported(model)

    def phase_left_on() -> bytes:
        model = NamedModel.of(rebuild(trace(network(21))), bench.folded.graph)

        class Training(NamedModel):
            def call(self, inputs: Any, training: bool = False) -> Any:
                return super().call(inputs, training=True)

        return onnx_of(Training(model.model, model.inputs, model.outputs), signature, folder)

    yield "another model", lambda: exported(network(22))
    yield "the model before its last training step", nudged
    yield "a wrong epsilon", lambda: exported(network(21, epsilon=1.1e-3))
    yield "batch statistics", phase_left_on


def renamed(model: Any) -> None:
    for index, node in enumerate(model.graph.node):
        node.name = f"node_{index}"


def as_constants(model: Any) -> None:
    for tensor in reversed(model.graph.initializer):
        model.graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], value=tensor))
    del model.graph.initializer[:]


def swapped_sums(model: Any) -> None:
    for node in [node for node in model.graph.node if node.op_type == "Add"]:
        node.input[:] = list(reversed(node.input))


SOUND: dict[str, Callable[[Any], None]] = {
    "as it is": lambda model: None,
    "other names of nodes": renamed,
    "weights as constants": as_constants,
    "sums the other way round": swapped_sums,
    "with a description": lambda model: setattr(model, "doc_string", "sound"),
}


def opened(content: bytes, bench: Bench) -> OnnxEngine | None:
    try:
        return OnnxEngine.from_bytes(content, bench.folded.signature)
    except EngineError:
        return None


def refused_by(check: Callable[[OnnxEngine], bool], engine: OnnxEngine) -> bool:
    try:
        return not check(engine)
    except EngineError:
        return True


def distance(bench: Bench, engine: OnnxEngine) -> float:
    try:
        return bench.distance(engine)
    except EngineError:
        return float("inf")


def test_the_sound_model_passes_both(bench: Bench) -> None:
    engine = opened(bench.content, bench)
    assert engine is not None
    assert bench.verify(engine)
    assert bench.check(engine)
    assert bench.distance(engine) <= bench.expected.reference.bound("scores")
    assert np.ptp(bench.truth, axis=0).max() > 0.1


def test_every_spoiled_model_that_changes_an_answer_is_refused(bench: Bench, tmp_path: Path) -> None:
    made = [(name, lambda spoil=spoil: spoil(bench.content)) for name, spoil in spoils(bench.content)]
    bound = bench.expected.reference.bound("scores")
    missed, changed = [], 0
    for name, make in [*made, *whole_files(bench, tmp_path)]:
        engine = opened(make(), bench)
        if engine is None:
            continue
        away = distance(bench, engine)
        if within(away, bound):
            continue
        changed += 1
        checks = {"verifier": refused_by(bench.verify, engine), "golden check": refused_by(bench.check, engine)}
        missed += [f"{check}: {name} ({away:.3g} of {bound:.3g})" for check, refused in checks.items() if not refused]
    assert len(made) >= 200
    assert changed >= 150
    assert not missed


@pytest.mark.parametrize("change", SOUND, ids=str)
def test_the_same_model_written_otherwise_is_not_refused(bench: Bench, change: str) -> None:
    model = onnx.load_from_string(bench.content)
    SOUND[change](model)
    for optimise in (True, False):
        for threads in (1, 2):
            options = EngineOptions(optimise=optimise, threads=threads)
            engine = OnnxEngine.from_bytes(model.SerializeToString(), bench.folded.signature, options)
            assert bench.verify(engine)
            assert bench.check(engine)
