"""Why an affine map could not go where it was sent: a name to test for and words to read."""

from dataclasses import dataclass
from enum import StrEnum


class Why(StrEnum):
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


@dataclass(frozen=True, slots=True)
class Refusal:
    """A named reason with words that say which layer and, where there is one, what to change."""

    why: Why
    words: str
