"""Why an affine map could not go where it was sent: a name to test for, words to read, and what would help."""

from dataclasses import dataclass
from enum import StrEnum


class RefusalReason(StrEnum):
    """The reasons, one name each."""

    MODEL_INPUT = "model_input"
    MODEL_OUTPUT = "model_output"
    OTHER_READER = "other_reader"
    NO_READER = "no_reader"
    ACTIVATION = "activation"
    OTHER_AXIS = "other_axis"
    NOT_A_HOST = "not_a_host"
    PADDING = "padding"
    POSITION = "position"
    NEGATIVE_SCALE = "negative_scale"
    ZERO_SCALE = "zero_scale"
    DYNAMIC_SHAPE = "dynamic_shape"


_USUAL_REMEDIES = {
    RefusalReason.OTHER_AXIS: "normalize the channels of the layer before it",
    RefusalReason.NOT_A_HOST: "put it directly behind a convolution or a dense layer, before the activation",
    RefusalReason.DYNAMIC_SHAPE: "give the Input a fixed shape",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A named reason in words that say which layer, and what the model's author could do about it."""

    reason: RefusalReason
    message: str
    remedy: str = ""


def with_remedies(start: str, *refusals: Refusal) -> str:
    """The whole reason, with whatever would let the normalization fold wholly."""
    remedies = [refusal.remedy or _USUAL_REMEDIES.get(refusal.reason, "") for refusal in refusals]
    given = list(dict.fromkeys(filter(None, remedies))) or [_USUAL_REMEDIES[RefusalReason.NOT_A_HOST]]
    return f"{start}. To fold it wholly, {', or '.join(given)}; then train again"
