"""A model whose own answers depend on the batch is refused by the layer that `diagnose-model` names."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from foldserve_exporter import diagnose, export_model
from foldserve_exporter.cli import main
from foldserve_exporter.diagnosis.finding import FindingKind
from foldserve_exporter.report.verification_failed import BatchDependent

from ..models import randomise

layers, ops = keras.layers, keras.ops


def discriminator() -> Any:
    """As in progressive growing of GANs: a feature map of the deviation over the batch."""
    image = keras.Input((10, 8, 3), name="image")
    x = layers.Conv2D(6, 3, strides=2, padding="same", name="conv_1")(image)
    x = layers.LeakyReLU(0.2)(layers.BatchNormalization(name="bn_1")(x))
    deviation = ops.mean(ops.std(x, axis=0, keepdims=True), axis=(1, 2, 3), keepdims=True)
    x = layers.Concatenate()([x, ops.ones_like(x[..., :1]) * deviation])
    x = layers.Flatten()(layers.LeakyReLU(0.2)(layers.Conv2D(4, 3, name="conv_2")(x)))
    return randomise(keras.Model(image, layers.Dense(1, name="realness")(x)), 1)


def test_the_refusal_names_the_layer_and_not_the_export(tmp_path: Path) -> None:
    model = discriminator()
    [finding] = [found for found in diagnose(model).findings if found.kind is FindingKind.NEIGHBOURS]
    assert finding.layer == "std"
    with pytest.raises(BatchDependent, match=r"^std: the model itself answers a row differently among other rows, by"):
        export_model(model, tmp_path, "critic")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["critic-1.failed.html", "critic-1.failed.json"]
    [refused] = [f for f in json.loads((tmp_path / "critic-1.failed.json").read_text())["findings"] if f["effect"]]
    assert (refused["kind"], refused["layer"], refused["remedy"]) == (finding.kind, finding.layer, finding.remedy)


def test_the_command_ends_as_for_other_models_that_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    discriminator().save(tmp_path / "critic.keras")
    assert main([str(tmp_path / "critic.keras"), "-o", str(tmp_path / "models"), "--name", "critic"]) == 4
    printed = capfd.readouterr()
    assert "answers depend on the batch in std" in printed.out
    assert "does not answer as the model does" not in printed.err


def test_a_model_that_is_merely_far_from_its_reference_is_not_blamed() -> None:
    """Rounding differs with the batch too, by less than the tolerances that it was measured for."""
    from foldserve_contract.manifest import Source
    from foldserve_exporter.diagnosis.export_batch_dependence import batch_dependence
    from foldserve_exporter.load.loader import Loaded
    from foldserve_exporter.options import ExportOptions
    from foldserve_exporter.steps.fold import fold_model
    from foldserve_exporter.steps.reference import make_reference

    image = keras.Input((10, 8, 3), name="image")
    x = layers.BatchNormalization(name="bn")(layers.Conv2D(6, 3, name="conv")(image))
    model = randomise(keras.Model(image, layers.GlobalAveragePooling2D(name="features")(x)), 2)
    folded = fold_model(Loaded(model, Source("model", "")))
    expected = make_reference(folded, ExportOptions(Path(), "model"))
    assert batch_dependence(folded.graph, expected.unfolded.run, expected.rows, expected.reference) is None
    assert np.isfinite(expected.reference.outputs["features"]).all()
