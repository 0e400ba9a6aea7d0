"""Every family in keras.applications folds with no BatchNormalization left and nothing kept that need not be."""

from collections import Counter
from typing import Any

import keras
import numpy as np
import pytest

from benchmarks.matrix import randomised
from foldserve_exporter.folding import fold_graph
from foldserve_exporter.graph import rebuild, trace
from tests.exporter.models import flat, kinds, misses

BACK, SHIFT, BACK_SHIFT = "backward", "forward_scale_left_affine_shift", "backward_scale_left_affine_shift"
FAMILIES: dict[str, tuple[int, dict[str, int]]] = {
    "MobileNet": (32, {BACK: 27}),
    "MobileNetV2": (32, {BACK: 52}),
    "MobileNetV3Small": (32, {BACK: 34}),
    "MobileNetV3Large": (32, {BACK: 46}),
    "ResNet50": (32, {BACK: 53}),
    "ResNet50V2": (32, {BACK: 48, BACK_SHIFT: 1}),
    "DenseNet121": (32, {BACK: 62, BACK_SHIFT: 1, SHIFT: 58}),
    "InceptionV3": (75, {BACK: 94}),
    "InceptionResNetV2": (75, {BACK: 204}),
    "Xception": (71, {BACK: 40}),
    "NASNetMobile": (32, {BACK: 192}),
    "EfficientNetB0": (32, {BACK: 49}),
    "EfficientNetV2B0": (32, {BACK: 59}),
    "VGG16": (32, {}),
    "ConvNeXtTiny": (32, {}),
}


def application(name: str, size: int, **words: Any) -> Any:
    return randomised.application(name, (size, size, 3), classes=7, classifier_activation=None, **words)


def assert_application_folds(model: Any, size: int) -> Counter[str]:
    x = np.random.default_rng(1).uniform(0, 1, (2, size, size, 3)).astype(np.float32)
    graph = trace(model)
    folded_graph, plan = fold_graph(graph)
    exact = flat(rebuild(graph, "float64")(x, training=False))
    folded = rebuild(folded_graph)
    assert not misses(flat(folded(x, training=True)), flat(model.predict(x, verbose=0)), exact)
    assert not {"BatchNormalization", "Rescaling", "Normalization", "Dropout"} & set(kinds(folded))
    return Counter(entry.action.value for entry in plan)


def test_a_small_mobilenet_folds_wholly() -> None:
    assert assert_application_folds(application("MobileNetV2", 32, alpha=0.35), 32) == {BACK: 52}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_folds_wholly(name: str) -> None:
    size, expected = FAMILIES[name]
    keras.backend.clear_session()
    assert assert_application_folds(application(name, size), size) == expected
