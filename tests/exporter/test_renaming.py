"""Inputs and outputs under other names: in both artifacts, the manifest and the golden samples."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest

from foldserve_contract.bundle import Bundle
from foldserve_contract.manifest import Source
from foldserve_engine.load import load_engine
from foldserve_engine.spec import EngineKind
from foldserve_exporter import export_model
from foldserve_exporter.cli import main
from foldserve_exporter.load.loader import Loaded
from foldserve_exporter.options import ExportOptions, OptionsError
from foldserve_exporter.steps.fold import fold_model

from .models import randomise


def two_by_two() -> keras.Model:
    image, size = keras.Input((5, 4, 2), name="image"), keras.Input((3,), name="size")
    x = keras.layers.BatchNormalization(name="bn")(keras.layers.Conv2D(4, 3, name="conv")(image))
    x = keras.layers.Concatenate()([keras.layers.GlobalAveragePooling2D(name="pooled")(x), size])
    outputs = [keras.layers.Dense(3, name="dense_1")(x), keras.layers.Dense(1, name="dense_2")(x)]
    return randomise(keras.Model({"image": image, "size": size}, outputs), 2)


def rows(count: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(3)
    shapes = {"image": (5, 4, 2), "size": (3,)}
    return {name: generator.standard_normal((count, *shape)).astype(np.float32) for name, shape in shapes.items()}


def signature_of(*words: str, **choices: Any) -> tuple[list[str], list[str]]:
    options = ExportOptions(Path(), "m", rename=words, **choices)
    signature = fold_model(Loaded(two_by_two(), Source("m", "")), options).signature
    return [spec.name for spec in signature.inputs], [spec.name for spec in signature.outputs]


def test_both_artifacts_take_and_give_the_new_names(tmp_path: Path) -> None:
    given = rows(40)
    samples = {"photo": given["image"], "size": given["size"]}
    model = two_by_two()
    exported = export_model(model, tmp_path, "m", samples=samples, rename=("image=photo", "dense_1=scores"), golden=4)
    bundle = Bundle.open(exported.path)
    scores, _ = model.predict(given, verbose=0)
    for kind in EngineKind:
        engine = load_engine(bundle, kind)
        answers = engine.run(samples)
        assert answers.keys() == {"scores", "dense_2"}
        np.testing.assert_allclose(answers["scores"], scores, atol=1e-4 * np.abs(scores).max())
        engine.close()
    graph = onnx.load(exported.path / "model.onnx").graph
    assert {tensor.name for tensor in (*graph.input, *graph.output)} == {"photo", "size", "scores", "dense_2"}
    assert bundle.golden().inputs.keys() == {"photo", "size"}


def test_names_may_change_places_and_features_have_names_of_their_own() -> None:
    assert signature_of("dense_1=dense_2", "dense_2=dense_1")[1] == ["dense_2", "dense_1"]
    image = keras.Input((4,), name="image")
    model = keras.Model(image, keras.layers.Dense(2, name="top")(keras.layers.Dense(3, name="body")(image)))
    options = ExportOptions(Path(), "m", features="body", rename=("body=features",))
    assert fold_model(Loaded(model, Source("m", "")), options).signature.outputs[0].name == "features"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dense_9=x"], r"outputs \['dense_1', 'dense_2'\]"),
        (["image=size"], "several inputs or outputs would be called 'size'"),
        (["dense_1=image"], "several inputs or outputs would be called 'image'"),
        (["dense_1=x", "dense_1=y"], "two new names"),
        (["dense_1"], "OLD=NEW"),
        (["dense_1=a/b"], "OLD=NEW"),
        (["=x"], "OLD=NEW"),
    ],
)
def test_what_is_not_clear_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(OptionsError, match=message):
        signature_of(*arguments)


def test_a_name_that_an_input_and_an_output_shared_is_the_input_s() -> None:
    x = keras.Input((4,), name="x")
    model = keras.Model(x, {"x": keras.layers.Dense(3, name="dense")(x)})
    signature = fold_model(Loaded(model, Source("m", "")), ExportOptions(Path(), "m", rename=("x=y",))).signature
    assert [spec.name for spec in (*signature.inputs, *signature.outputs)] == ["y", "x_1"]


def test_the_command_takes_it_and_ends_with_2_where_it_cannot(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    two_by_two().save(tmp_path / "m.keras")
    words = [str(tmp_path / "m.keras"), "-o", str(tmp_path / "models"), "--name", "m"]
    assert main([*words, "--rename", "none=x"]) == 2
    assert "--rename none=" in capfd.readouterr().err
