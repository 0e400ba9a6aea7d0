"""Refusals: the reasons for which a layer does not absorb an affine map, with a message and a remedy."""

from dataclasses import dataclass
from enum import StrEnum

from ..graph import Op
from ..graph.precision import is_custom_code


class RefusalReason(StrEnum):
    """Reasons of a refusal."""

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
    """A reason, a message that names the layer, and a remedy for the model's author."""

    reason: RefusalReason
    message: str
    remedy: str = ""


def no_host(op: Op) -> Refusal:
    """The refusal of a layer that no rule is for; of code of the user's own, with what would have been read."""
    if not is_custom_code(op.kind) or not op.weights:
        message = f"{op.path} ({op.kind.__name__}) has no weights to fold into"
        return Refusal(RefusalReason.NOT_A_HOST, message)
    return Refusal(
        RefusalReason.NOT_A_HOST,
        f"{op.path} is a {op.kind.__name__}, a class of your own that computes more than a convolution or product with "
        "a kernel made of its weights alone",
        f"let {op.path} compute nothing else, with keras.ops",
    )


def with_remedies(start: str, *refusals: Refusal) -> str:
    """The message ``start`` followed by the remedies of refusals, after which the normalization would fold wholly."""
    remedies = [refusal.remedy or _USUAL_REMEDIES.get(refusal.reason, "") for refusal in refusals]
    distinct = list(dict.fromkeys(filter(None, remedies))) or [_USUAL_REMEDIES[RefusalReason.NOT_A_HOST]]
    return f"{start}. To fold it wholly, {', or '.join(distinct)}; then train again"
