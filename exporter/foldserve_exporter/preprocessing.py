"""Preprocessing inside the exported model: callers send raw uint8 images and cannot preprocess them wrongly.

The formulas are those of `keras.applications.imagenet_utils.preprocess_input`, x in 0…255, by channel:

- `tf`: x / 127.5 − 1
- `torch`: (x / 255 − mean) / deviation, with ImageNet's mean and deviation of each channel in RGB
- `caffe`: x in BGR − ImageNet's mean of each channel
- `SCALE` or `SCALE,OFFSET`: x · SCALE + OFFSET
"""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import keras

from .errors import Refused
from .graph import Graph, Ref, trace
from .graph.ir import INPUT
from .graph.layout import is_layout_permute
from .options import OptionsError

_TORCH_MEAN, _TORCH_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN = (103.939, 116.779, 123.68)  # of B, G and R


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Preprocessing x · scale + offset for each channel, after the conversion of RGB to BGR where `reversed_channels`.

    Attributes:
        name: The text of the option; the manifest holds it.
        scale: One number, or one for each of three channels.
        offset: Likewise.
        reversed_channels: Whether the model takes BGR.
    """

    name: str
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    reversed_channels: bool = False

    @classmethod
    def parse(cls, text: str) -> "Preprocessing":
        """Reads `tf`, `torch`, `caffe`, `SCALE` or `SCALE,OFFSET`; a number may be a fraction, `1/255`.

        Raises:
            OptionsError: The text has none of these forms.
        """
        if text == "tf":
            return cls(text, (1 / 127.5,), (-1.0,))
        if text == "torch":
            scale = tuple(1 / (255 * deviation) for deviation in _TORCH_DEVIATION)
            shifts = zip(_TORCH_MEAN, _TORCH_DEVIATION, strict=True)
            return cls(text, scale, tuple(-mean / deviation for mean, deviation in shifts))
        if text == "caffe":
            return cls(text, (1.0,), tuple(-mean for mean in _CAFFE_MEAN), reversed_channels=True)
        try:
            scale_and_offset = [_number(part) for part in text.split(",")]
            factor, shift = scale_and_offset if len(scale_and_offset) == 2 else (*scale_and_offset, 0.0)
            if factor == 0:
                raise ValueError("every image would be the same")
        except (ValueError, ZeroDivisionError):
            raise OptionsError(
                f"preprocess must be caffe, tf, torch, SCALE or SCALE,OFFSET (such as 1/255), received {text!r}"
            ) from None
        return cls(text, (factor,), (shift,))


def _number(text: str) -> float:
    over, _, under = text.partition("/")
    number = float(over) / float(under or 1)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def with_preprocessing(model: Any, preprocessing: Preprocessing) -> Any:
    """A new model that takes uint8 images, 0…255 in RGB, and feeds them to the given one, which is not changed.

    Raises:
        Refused: The model has no single float input, or not as many channels as the preprocessing.
    """
    graph = trace(model)
    if len(graph.inputs) != 1 or not graph.inputs[0].is_float:
        inputs = [f"{spec.name} ({spec.dtype})" for spec in graph.inputs]
        raise Refused(f"--preprocess {preprocessing.name} needs a model with one float input; this one has {inputs}")
    spec = graph.inputs[0]
    image = keras.Input(spec.shape[1:], dtype="uint8", name=spec.name)
    outputs = keras.tree.flatten(model(_prepared(image, preprocessing, _channel_axis(graph, preprocessing))))
    named = OrderedDict(zip(graph.output_names, outputs, strict=True))  # a dict would be sorted by name
    return keras.Model(image, named, name=model.name)


def _channel_axis(graph: Graph, preprocessing: Preprocessing) -> int:
    """The input's channel axis: the last one, or the first after the batch where layers are channels-first."""
    spec = graph.inputs[0]
    last = len(spec.shape) - 1
    wanted = max(len(preprocessing.scale), len(preprocessing.offset))
    if wanted == 1:
        return last
    axes = (1, last) if last > 1 and any(map(is_layout_permute, graph.nodes)) else (last,)
    fitting = [axis for axis in axes if spec.shape[axis] == wanted]
    if len(fitting) == 1:
        return fitting[0]
    if fitting and any(map(is_layout_permute, graph.readers(Ref(INPUT, 0)))):
        return 1
    received = " or ".join(str(spec.shape[axis]) for axis in axes)
    raise Refused(f"--preprocess {preprocessing.name} is for {wanted} channels; input {spec.name!r} has {received}")


def _prepared(image: Any, preprocessing: Preprocessing, axis: int) -> Any:
    x = keras.ops.flip(image, axis=axis) if preprocessing.reversed_channels else image
    scale, offset = (
        list(values) if len(values) > 1 else values[0] for values in (preprocessing.scale, preprocessing.offset)
    )
    last = len(image.shape) - 1
    rescaling = keras.layers.Rescaling(scale, offset, name="preprocessing")
    if axis == last:
        return rescaling(x)
    there, back = (*range(2, last + 1), 1), (last, *range(1, last))
    return keras.layers.Permute(back)(rescaling(keras.layers.Permute(there)(x)))
