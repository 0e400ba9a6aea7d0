"""The models: the architectures of the test matrix, and keras.applications, one of each family at least."""

from dataclasses import dataclass
from typing import Any

from .randomised import application

ARCHITECTURES = "Architectures of our own"
APPLICATIONS = "keras.applications"
SIDES = {
    "VGG16": 32,
    "VGG19": 32,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "MobileNetV3Large": 32,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "DenseNet121": 32,
    "InceptionV3": 75,
    "InceptionResNetV2": 75,
    "Xception": 71,
    "NASNetMobile": 32,
    "EfficientNetB0": 32,
    "EfficientNetV2B0": 32,
    "ConvNeXtTiny": 32,
}
"""Height of the images, the least that the family allows or a round number; the width is that and 3 more."""
_TOGETHER = 20
_FORCED = {
    "ConvNeXtTiny": "LayerNormalization, GELU and LayerScale",
    "MobileNetV3Small": "the shift of preprocessing in front of zero padding",
    "MobileNetV3Large": "the shift of preprocessing in front of zero padding",
    "EfficientNetV2B0": "the shift of preprocessing in front of zero padding",
}
_OWN = "tests.exporter.architectures"


@dataclass(frozen=True, slots=True)
class Made:
    """A model with random weights, and the modules that register its classes."""

    model: Any
    theme: str
    custom_objects: tuple[str, ...] = ()


def names() -> list[str]:
    """All of them, in the order of the table."""
    from tests.exporter.architectures import ARCHITECTURES as OWN

    return [*OWN, *SIDES]


def forced(name: str) -> str:
    """Arithmetic with constants that a model keeps for another cause than a BatchNormalization."""
    from tests.exporter.architectures import ARCHITECTURES as OWN

    return OWN[name].forced if name in OWN else _FORCED.get(name, "")


def groups(names: list[str]) -> list[list[str]]:
    """Names that may share a process: each application has one to itself, for its memory."""
    small = [name for name in names if name not in SIDES]
    together = [small[start : start + _TOGETHER] for start in range(0, len(small), _TOGETHER)]
    return [*together, *([name] for name in names if name in SIDES)]


def make(name: str) -> Made:
    """A model by its name."""
    from tests.exporter.architectures import ARCHITECTURES as OWN

    if name in OWN:
        return Made(OWN[name].model(), ARCHITECTURES, (_OWN,))
    side = SIDES[name]
    return Made(application(name, (side, side + 3, 3), classes=7, classifier_activation=None), APPLICATIONS)
